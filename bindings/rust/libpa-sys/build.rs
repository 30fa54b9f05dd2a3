//! Finds libpa: by pkg-config (package `pa`; `PKG_CONFIG_PATH` says where else to look), or where `LIBPA_LIB_DIR` says.
//!
//! | variable | |
//! | --- | --- |
//! | `LIBPA_LIB_DIR` | the directory of `libpa.so` or `libpa.a`; pkg-config is then not asked |
//! | `LIBPA_STATIC` | `1`: link `libpa.a`, and the C++ library with it |

use std::env;

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
    let found = pkg_config::Config::new().atleast_version(env!("CARGO_PKG_VERSION")).statik(linked_statically).probe("pa");
    if let Err(error) = found {
        eprintln!(
            "libpa was not found: set PKG_CONFIG_PATH to where its pa.pc is, or LIBPA_LIB_DIR to where libpa.so is.\n{error}"
        );
        std::process::exit(1);
    }
}
