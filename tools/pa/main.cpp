// pa: maps of tasks and commands from the shell, and workers for programs that can't be their own.
#include <pa/plugin.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "map.hpp"

namespace {

int serve(const std::vector<std::string>& modules) {
  pa_error error;
  if (!pa_worker_requested()) throw std::runtime_error("worker: is started by programs that use libpa, not by hand");
  for (const std::string& module : modules)
    if (pa_module_load(module.c_str(), &error)) throw std::runtime_error(error.message);
  if (pa_worker_serve(&error)) throw std::runtime_error(error.message);
  return cli::all_ok;
}

std::string kinds(const pa_task& task) {
  return std::string(task.fn ? "items" : "") + (task.fn && task.batch_fn ? ", " : "") + (task.batch_fn ? "batches" : "");
}

int list(const std::vector<std::string>& modules) {
  uint64_t position = 0;
  for (const std::string& module : modules) {
    pa_error error;
    if (pa_module_load(module.c_str(), &error)) throw std::runtime_error(error.message);
    std::printf("%s\n", module.c_str());
    for (const char* name; (name = pa_task_name(position)); position++) {
      pa_task task;
      pa_task_init(&task, sizeof task);
      if (pa_task_find(name, &task, &error)) throw std::runtime_error(error.message);
      std::printf("  %s\t%s\n", name, kinds(task).c_str());
    }
  }
  return cli::all_ok;
}

void add_map(CLI::App& app, cli::MapOptions& o, bool& zeros, bool& lengths) {
  CLI::App& map = *app.add_subcommand(
      "map", "Run a task of a module, or a command, for each record of the input; results go to standard output");
  map.add_option("-m,--module", o.module, "shared object that has the task")->type_name("FILE");
  map.add_option("-i,--input", o.input, "where the records come from; - is standard input")->type_name("FILE");
  map.add_flag("-0,--null", zeros, "records end with a zero byte, in and out; otherwise with a newline");
  map.add_flag("-l,--length-prefixed", lengths, "records have 4 bytes of length in front, big-endian, in and out");
  map.add_option("-w,--workers", o.workers, "calls at a time; 0: as many as CPUs")->check(CLI::Range(0, PA_WORKERS_MAX));
  map.add_option("-r,--rate", o.rate, "calls a second at most")->check(CLI::Range(1e-7, 1e9));
  map.add_option("--burst", o.burst, "calls that may come at once after a pause")->check(CLI::PositiveNumber);
  map.add_option("--retry", o.attempts, "attempts at a record in all")->check(CLI::Range(1, 1000000));
  map.add_option("--backoff", o.backoff, "seconds before the second attempt; doubles each time")
      ->check(CLI::NonNegativeNumber);
  map.add_option("-t,--timeout", o.timeout, "seconds for all of it")->check(CLI::NonNegativeNumber);
  map.add_option("--item-timeout", o.item_timeout, "seconds for an attempt")->check(CLI::PositiveNumber);
  map.add_option("--max-errors", o.max_errors, "stop after so many failures");
  map.add_flag("-p,--processes", o.processes, "run the task in worker processes: a crash costs one record");
  map.add_flag("-u,--unordered", o.unordered, "results as they come, not in the order of the input");
  map.add_option("-f,--failures", o.failures, "write what failed there: number, state, code, message")->type_name("FILE");
  map.add_flag("--progress", o.progress, "say how far it is, on standard error");
  map.add_flag("--json", o.json, "an outcome for each record as a line of JSON, failures included");
  map.add_option("task", o.task, "the task's name")->type_name("TASK");
  map.footer(
      "pa map --module lib.so TASK < items\n"
      "pa map [OPTIONS] -- COMMAND [ARGUMENT]...     {} stands for the record; without one, it is the last argument\n"
      "Exit status: 0 all succeeded; 1 some failed; 2 wrong usage; 3 the run failed; 124 timed out; 130 stopped by Ctrl-C.");
}

int map(cli::MapOptions& options, bool zeros, bool lengths) {
  if (zeros && lengths) throw CLI::ValidationError("--null and --length-prefixed exclude each other");
  if (zeros) options.format = cli::Format::zeros;
  if (lengths) options.format = cli::Format::lengths;
  if (options.module.empty() != options.task.empty() || options.command.empty() == options.task.empty())
    throw CLI::ValidationError("give either --module FILE and TASK, or -- COMMAND");
  if (options.processes && options.task.empty())
    throw CLI::ValidationError("--processes is for tasks: a command is a process");
  return cli::map(options);
}

}  // namespace

int main(int count, char** arguments) {
  const bool is_worker = pa_worker_requested();
  CLI::App app("Runs something for each record of an input, in parallel, with rate limits, retries and deadlines.", "pa");
  const uint32_t version = pa_version();
  app.set_version_flag("--version", "pa " + std::to_string(version / 1000000) + "." + std::to_string(version / 1000 % 1000) +
                                        "." + std::to_string(version % 1000));
  app.require_subcommand(1);
  cli::MapOptions options;
  bool zeros = false, lengths = false;
  std::vector<std::string> worker_modules, modules;
  add_map(app, options, zeros, lengths);
  CLI::App& worker = *app.add_subcommand("worker", "Serve as a worker process of a program that uses libpa");
  worker.add_option("-m,--module", worker_modules, "shared object with tasks")->type_name("FILE");
  CLI::App& listing = *app.add_subcommand("modules", "List the tasks of modules");
  listing.add_option("modules", modules, "shared objects")->required()->type_name("FILE");
  // What stands behind -- is the command's, and none of ours.
  char** const end = arguments + count;
  char** const dashes = std::find_if(arguments, end, [](const char* word) { return std::strcmp(word, "--") == 0; });
  if (dashes != end) options.command.assign(dashes + 1, end);
  try {
    if (is_worker && count == 1) return serve({});  // run again by itself
    app.parse(static_cast<int>(dashes - arguments), arguments);
    if (dashes != end && !app.got_subcommand("map")) throw CLI::ValidationError("only map takes a command");
    if (worker.parsed()) return serve(worker_modules);
    if (listing.parsed()) return list(modules);
    return map(options, zeros, lengths);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? cli::all_ok : cli::wrong_usage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pa: %s\n", error.what());
    return cli::wrong_usage;
  }
}
