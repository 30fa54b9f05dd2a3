//! Programs that must not compile (misuse/src/bin) do not, and for the reason that stands in their first line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn programs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("misuse/src/bin");
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The codes of the errors that the compiler finds in each program.
fn errors() -> Vec<(String, String)> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("misuse/Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("misuse");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["check", "--locked", "--bins", "--keep-going", "--message-format=json", "--manifest-path"]).arg(manifest);
    let said = cargo.arg("--target-dir").arg(target).output().unwrap();
    let lines = String::from_utf8(said.stdout).unwrap();
    let messages = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = messages.filter(|message| message["message"]["level"] == "error" && !message["message"]["code"].is_null());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    found.map(|message| (text(&message["target"]["name"]), text(&message["message"]["code"]["code"]))).collect()
}

#[test]
fn what_would_be_unsound_does_not_compile_for_the_reason_given() {
    let errors = errors();
    let programs = programs();
    assert!(programs.len() > 10);
    let mut wrong = Vec::new();
    for path in programs {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let source = std::fs::read_to_string(&path).unwrap();
        let expected = source.trim_start_matches("// ").split(':').next().unwrap();
        let expected: BTreeSet<&str> = if expected == "compiles" { BTreeSet::new() } else { [expected].into() };
        let got: BTreeSet<&str> = errors.iter().filter(|(of, _)| of == name).map(|(_, code)| code.as_str()).collect();
        if got != expected {
            wrong.push(format!("{name}: {expected:?} is wanted, got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
