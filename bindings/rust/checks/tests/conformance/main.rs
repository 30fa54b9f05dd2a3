//! Runs conformance/cases/*.json: each case by each of its calls.

mod case;
mod check;
mod run;
mod world;

use std::fs;
use std::path::Path;

use case::Case;
use libtest_mimic::{Arguments, Failed, Trial};

fn cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../conformance/cases");
    let mut files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| -> Vec<Case> {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.iter().filter(|path| path.extension().is_some_and(|ext| ext == "json")).flat_map(read).collect()
}

fn main() {
    std::panic::set_hook(Box::new(|_| {})); // the cases panic by the dozen
    let mut trials = Vec::new();
    for case in cases() {
        for by in case.calls.clone() {
            let name = format!("{}, by {by:?}", case.name);
            let (case, reason) = (case.clone(), case.not.get("rust").cloned());
            let kind = reason.as_ref().map_or(String::new(), |reason| format!("not applicable: {reason}"));
            let trial = Trial::test(name, move || run::run_case(&case, by).map_err(Failed::from));
            trials.push(trial.with_kind(kind).with_ignored_flag(reason.is_some()));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
