//! The commands and the first program of docs/rust.md, as they are there, in an empty folder.
//!
//! The library has been built before (`stage` in ./run), so that `./run build` is left out, and that build is installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const PAGE: &str = include_str!("../../../../docs/rust.md");

/// The blocks of a section, with their languages, in their order.
fn blocks(section: &str) -> Vec<(&'static str, &'static str)> {
    let (_, rest) = PAGE.split_once(&format!("\n## {section}\n")).expect("the page has this section");
    let text = rest.split("\n## ").next().unwrap();
    let parts = text.split("\n```").skip(1).step_by(2);
    parts.map(|part| part.split_once('\n').expect("a block has lines")).collect()
}

fn block(section: &str, language: &str, which: usize) -> &'static str {
    let found = blocks(section).into_iter().filter(|(of, _)| *of == language).nth(which);
    found.unwrap_or_else(|| panic!("{section} has no block {which} of {language}")).1
}

/// What the script prints. Nothing of the environment says where libpa is.
fn run(folder: &Path, home: &Path, script: &str, variables: &[(&str, &str)]) -> String {
    let old_home = PathBuf::from(std::env::var_os("HOME").expect("there is a HOME"));
    let mut shell = Command::new("bash");
    shell.args(["-e", "-u", "-c", script]).current_dir(folder);
    for (name, place) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        if std::env::var_os(name).is_none() && old_home.join(place).exists() {
            shell.env(name, old_home.join(place));
        }
    }
    for name in ["PKG_CONFIG_PATH", "LD_LIBRARY_PATH", "CARGO_TARGET_DIR", "RUSTFLAGS", "LIBPA_STATIC", "LIBPA_LIB_DIR"] {
        shell.env_remove(name);
    }
    shell.env("HOME", home).env("CARGO_NET_OFFLINE", "true"); // the crates are there by now
    let done = shell.envs(variables.iter().copied()).output().unwrap();
    assert!(done.status.success(), "{script}\n{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// A home with the library and the crate of the first program.
fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap();
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
        let _ = std::fs::remove_dir_all(&home);
        std::fs::create_dir_all(&home).unwrap();
        let install = block("Install", "sh", 0);
        assert!(install.contains("./run build\n") && install.contains("build/release"));
        let install = install.replace("./run build\n", "").replace("build/release", "build/stage-checked");
        run(&root, &home, &format!("{install}\n{}", block("A first program", "sh", 0)), &[]);
        let source = block("A first program", "rust", 0).trim_end_matches('\n');
        std::fs::write(home.join("hello/src/main.rs"), format!("{source}\n")).unwrap();
        home
    })
}

fn printed() -> String {
    format!("{}\n", block("A first program", "text", 0))
}

#[test]
fn the_first_program_is_built_as_the_page_says_and_prints_what_it_says() {
    let said = run(&home().join("hello"), home(), block("A first program", "sh", 1), &[]);
    assert_eq!(said, printed());
}

/// The crate pkg-config takes the shared library, and says nothing, where it thinks that the place is the system's: below /usr, or
/// below SYSROOT.
#[test]
fn linked_statically_it_needs_no_shared_library_wherever_the_archive_is() {
    for sysroot in ["/nowhere", home().to_str().unwrap()] {
        let script = format!("{}\nldd static/debug/hello", block("Linking", "sh", 0));
        let said = run(&home().join("hello"), home(), &script, &[("CARGO_TARGET_DIR", "static"), ("SYSROOT", sysroot)]);
        let libraries = said.strip_prefix(&printed()).expect("it prints the same");
        assert!(libraries.contains("libstdc++") && !libraries.contains("libpa"), "{libraries}");
        std::fs::remove_dir_all(home().join("hello/static")).unwrap();
    }
}
