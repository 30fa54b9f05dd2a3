#!/usr/bin/env bash
# Java, for ./run: see "languages" there.

need_java() {
  need default-jdk-headless maven
}

generate_java() { # SWIG BINDINGS
  local swig=$1 bindings=$2 classes=$2/java/libpa/src/main/java/libpa/low
  mkdir -p "$classes" "$bindings/java/native"
  "$swig" -java -noproxy -package libpa.low "-I$bindings" "-I$root/capi/include" -outdir "$classes" \
    -o "$bindings/java/native/palow_wrap.c" "$bindings/pa.i"
}
