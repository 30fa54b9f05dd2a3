//! Finds libpa: by pkg-config (package `pa`; `PKG_CONFIG_PATH` says where else to look), or where `LIBPA_LIB_DIR` says.
//!
//! | variable | |
//! | --- | --- |
//! | `LIBPA_LIB_DIR` | the directory of `libpa.so` or `libpa.a`; pkg-config is then not asked |
//! | `LIBPA_STATIC` | `1`: link `libpa.a`, and the C++ library with it |

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=LIBPA_LIB_DIR");
    println!("cargo::rerun-if-env-changed=LIBPA_STATIC");
    if env::var_os("DOCS_RS").is_some() {
        return; // documentation is made without linking
    }
    let linked_statically = env::var("LIBPA_STATIC").is_ok_and(|value| value != "0");
    match env::var("LIBPA_LIB_DIR") {
        Ok(directory) => link_from(&directory, linked_statically),
        Err(_) => ask_pkg_config(linked_statically),
    }
}

fn link_from(directory: &str, linked_statically: bool) {
    println!("cargo::rustc-link-search=native={directory}");
    if !linked_statically {
        println!("cargo::rustc-link-lib=dylib=pa");
        return;
    }
    println!("cargo::rustc-link-lib=static=pa");
    for library in ["stdc++", "m", "dl", "pthread"] {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
}

fn ask_pkg_config(linked_statically: bool) {
    let mut config = pkg_config::Config::new();
    config.atleast_version(env!("CARGO_PKG_VERSION")).statik(linked_statically);
    // The crate pkg-config takes no archive from below /usr, but the shared library instead, and says nothing.
    let found = config.cargo_metadata(!linked_statically).probe("pa");
    match found {
        Ok(library) if linked_statically => link_from_one_of(&library.link_paths),
        Ok(_) => {}
        Err(error) => give_up(&format!(
            "libpa was not found: set PKG_CONFIG_PATH to where its pa.pc is, or LIBPA_LIB_DIR to where libpa.so is.\n{error}"
        )),
    }
}

fn link_from_one_of(directories: &[PathBuf]) {
    match directories.iter().find(|directory| directory.join("libpa.a").exists()) {
        Some(directory) => link_from(&directory.display().to_string(), true),
        None => give_up(&format!("LIBPA_STATIC is set, and there is no libpa.a in {directories:?}")),
    }
}

fn give_up(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(1);
}
