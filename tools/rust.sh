# shellcheck shell=bash
# The binding for Rust: what `run` calls. Needs the functions of `run`, and `root`.

rust_oldest=1.85 # bindings/rust/Cargo.toml says so as well

# Where everything that cargo writes goes.
rust_environment() {
  export CARGO_TARGET_DIR=$root/build/rust
  export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never
}

rust_is_new_enough() {
  local version
  version=$(rustc --version 2>/dev/null | awk '{ print $2 }') && [ -n "$version" ] && command -v cargo >/dev/null &&
    printf '%s\n%s\n' "$rust_oldest" "$version" | sort -C -V
}

# Debian's rustc is too old; its rustc-web follows the current one. bindgen, for the tests, loads libclang.
need_rust() {
  if ! rust_is_new_enough; then
    need rustc-web cargo-web
    hash -r
    rust_is_new_enough || die "rustc $rust_oldest is needed, and $(rustc --version 2>&1) is what there is"
  fi
  cargo clippy --version >/dev/null 2>&1 || (need rust-web-clippy) || true
  need pkg-config libclang-dev
  rust_environment
}

generate_rust() { # SWIG BINDINGS_DIR
  local xml=$root/build/rust-generated/pa.xml
  mkdir -p "${xml%/*}"
  "$1" -xml -o "$xml" -I"$root/capi/include" "$2/pa.i" &&
    python3 "$2/rust/generate.py" "$xml" "$root/capi/include" >"$2/rust/libpa-sys/src/lib.rs"
}

bench_rust() { # OUT.json QUICK
  (cd "$root/benchmarks/rust" && CARGO_TARGET_DIR=$root/build/rust-bench cargo build --release --locked -q) &&
    "$root/build/rust-bench/release/bench-rust" ${2:+"$2"} "$1"
}
