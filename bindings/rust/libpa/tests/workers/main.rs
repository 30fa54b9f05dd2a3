//! Worker processes. This program is its own worker: it has a main, and lists its tests by name.

#[path = "../common/mod.rs"]
mod common;
mod faults;
mod ownership;
mod refused;
mod runs;
mod tasks;

use libtest_mimic::{Arguments, Failed, Trial};

macro_rules! trials {
    ($($test:path),* $(,)?) => {
        vec![$(Trial::test(stringify!($test).replace(' ', ""), || { $test(); Ok::<(), Failed>(()) })),*]
    };
}

fn main() {
    common::hush();
    tasks::register();
    if std::env::args().nth(1).is_some_and(|argument| argument == refused::NEVER_ASKS) {
        return refused::say_why(); // a worker, which has no arguments, does not come here
    }
    libpa::worker_main();
    let trials = trials![
        runs::each_item_gets_its_value,
        runs::of_nothing_there_is_nothing,
        runs::codecs_are_chosen_for_each_task_for_items_and_for_values,
        runs::items_of_zeroes_and_of_no_size_go_through_their_codec,
        runs::large_items_and_values_come_and_go,
        runs::an_iterator_is_pulled_and_may_fail,
        runs::the_call_knows_index_attempt_and_time,
        runs::a_batch_function_answers_for_each,
        runs::a_stream_hands_out_each_outcome_once_in_any_order,
        runs::a_stream_that_is_dropped_early_leaves_nothing,
        runs::an_asynchronous_stream_goes_through_workers,
        runs::progress_and_results_come_on_the_calling_thread,
        runs::keys_name_outcomes,
        runs::a_window_holds_for_workers_too,
        runs::a_stop_reaches_the_calls_in_the_workers,
        runs::a_timeout_is_told_and_max_errors_aborts,
        runs::workers_outlive_the_run_and_end_with_drain,
        runs::a_worker_is_replaced_after_max_items,
        runs::directory_and_environment_are_those_that_were_given,
        runs::each_worker_is_started_and_stopped_once_for_a_run,
        faults::an_error_crosses_as_its_text_and_its_code,
        faults::a_panic_is_its_items_error_and_not_repeated,
        faults::a_segmentation_fault_costs_one_item,
        faults::an_abort_costs_one_item,
        faults::an_exit_costs_one_item,
        faults::a_memory_limit_is_kept,
        faults::what_hangs_is_killed,
        faults::a_crash_can_be_repeated,
        faults::a_poison_item_is_given_up,
        faults::retry_if_sees_errors_and_crashes,
        faults::a_servers_wait_replaces_the_backoff,
        faults::a_storm_of_crashes_ends_the_run,
        faults::a_batch_that_crashes_is_found_out_by_retries,
        faults::a_batch_with_too_few_answers_has_none,
        faults::what_a_codec_refuses_is_its_items_error_with_the_codecs_words,
        faults::a_batch_runs_without_the_items_that_a_codec_refuses,
        ownership::items_and_values_are_dropped_once_in_the_program,
        ownership::items_and_values_are_dropped_once_in_the_worker,
        refused::options_that_make_no_sense_are_refused_before_any_work,
        refused::a_name_is_taken_once,
        refused::a_program_that_never_asks_is_refused,
        refused::a_task_that_workers_do_not_know_ends_the_run,
        refused::a_worker_that_can_not_start_ends_the_run,
        refused::a_program_that_is_not_there_ends_the_run,
        refused::a_program_that_is_no_worker_ends_the_run,
    ];
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1); // they count what is alive, and end idle workers
    libtest_mimic::run(&arguments, trials).exit();
}
