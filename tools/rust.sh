# shellcheck shell=bash
# The binding for Rust: what `run` calls. Needs the functions of `run`, and root.
: "${root:?}"

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

build_rust_fetch() { # FILE
  (cd "$root/examples/rust/fetch" && CARGO_TARGET_DIR=$root/build/rust-fetch cargo build --release --locked -q) &&
    cp "$root/build/rust-fetch/release/fetch" "$1"
}

# ---------------------------------------------------------------- tests

# rust_suite NAME COMMAND...: runs the tests of a cargo command, and counts them by the lines with which it closes. A build that
# fails is a failed test.
rust_suite() {
  local name=$1 log good bad names status=0 # not `passed` and `failed`: these are what `count` adds to
  log=$(log_file "rust-${1// /-}")
  shift
  "$@" 2>&1 | tee "$log" || status=$?
  read -r good bad < <(awk '/^test result: / { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }' "$log")
  names=$(sed -n 's/^test \(.*[^ ]\)  *\.\.\. FAILED$/\1/p' "$log" | tr '\n' ' ')
  if [ "$status" != 0 ] && [ "$bad" = 0 ]; then
    bad=1
    names="it does not build, or broke off"
  elif [ "$((good + bad))" = 0 ]; then
    bad=1
    names="there are no tests"
  fi
  count "rust, $name" "$good" "$bad" "$names"
}

# rust_check NAME COMMAND...: one that passes or fails as a whole.
rust_check() {
  local name=$1
  shift
  if "$@"; then count "rust, $name" 1 0; else count "rust, $name" 0 1; fi
}

# What a machine lacks is said, and not counted.
rust_not_applicable() { # NAME WHY
  printf 'not applicable: %s: %s\n' "$1" "$2"
}

rust_in() { # FOLDER COMMAND...
  local folder=$root/$1
  shift
  (cd "$folder" && "$@")
}

test_rust() {
  say "rust: the crate's tests"
  rust_suite libpa rust_in bindings/rust cargo test --locked --no-fail-fast -p libpa -p libpa-sys --all-features
  say "rust: conformance, layout, misuse, and the snippets and commands of docs/rust.md"
  rust_suite checks rust_in bindings/rust cargo test --locked --no-fail-fast -p checks

  say "rust: static analysis"
  if cargo clippy --version >/dev/null 2>&1; then
    rust_check clippy rust_in bindings/rust cargo clippy --locked -q --workspace --all-targets --all-features -- -D warnings
    rust_check "clippy, fetch" rust_in examples/rust/fetch cargo clippy --locked -q -- -D warnings
    rust_check "clippy, bench" rust_in benchmarks/rust cargo clippy --locked -q -- -D warnings
  else
    rust_not_applicable clippy "this toolchain has none, nor is there a package of it"
  fi
  if cargo fmt --version >/dev/null 2>&1; then
    rust_check formatting rust_in bindings/rust cargo fmt --all --check
  else
    rust_not_applicable rustfmt "this toolchain has none"
  fi
  RUSTDOCFLAGS="-D warnings" rust_check rustdoc rust_in bindings/rust cargo doc --locked -q --no-deps --all-features -p libpa -p libpa-sys
  test_rust_static
  test_rust_address
  test_rust_miri
}

# build.rs links libpa.a as well, without pkg-config.
test_rust_static() {
  say "rust: linked statically"
  PKG_CONFIG_PATH='' LIBPA_LIB_DIR=$LD_LIBRARY_PATH LIBPA_STATIC=1 CARGO_TARGET_DIR=$root/build/rust-static \
    rust_suite "static" rust_in bindings/rust cargo test --locked -p libpa --test batch
}

# Leaks, and memory that is used after it was freed. Only a nightly compiler has the sanitizer. (That for threads needs a standard
# library that is built with it; without, it finds races in there.) A forked child may find the sanitizer's own allocator locked for
# ever, by a thread that it hasn't got; a worker with little memory can't begin; and it catches a segmentation fault itself.
test_rust_address() {
  local flags="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer" target
  target=$(rustc -vV | sed -n 's/^host: //p')
  if ! (cd "$root/build" && echo 'fn main() {}' | rustc +nightly - -o rust-sanitized --target "$target" \
    -Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer 2>/dev/null); then
    rust_not_applicable "address sanitizer" "there is no nightly toolchain with it"
    return
  fi
  say "rust: address sanitizer"
  RUSTFLAGS=$flags CARGO_TARGET_DIR=$root/build/rust-address \
    rust_suite address rust_in bindings/rust cargo +nightly test --locked --target "$target" -p libpa --all-features --tests \
    -- --skip fork --skip a_memory_limit --skip a_segmentation_fault
}

# Miri can't call C: it runs the parts that are Rust alone.
test_rust_miri() {
  if cargo +nightly miri --version >/dev/null 2>&1; then
    say "rust: miri"
    rust_suite miri rust_in bindings/rust cargo +nightly miri test --locked -p libpa --lib -- word:: failures:: source:: work:: worker_error::
  else
    rust_not_applicable miri "there is no nightly toolchain with it"
  fi
}
