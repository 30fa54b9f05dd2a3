# shellcheck shell=bash
# The binding for Java: what `run` calls. Needs the functions of `run`, and root.
: "${root:?}"

need_java() {
  need default-jdk-headless maven make # make is for CMake, which the build of the natives calls
  trust_what_the_system_trusts
}

# A JDK has a list of authorities of its own. One that only this machine knows, of a proxy perhaps, is in the system's list alone.
trust_what_the_system_trusts() {
  local list=/etc/ssl/certs/ca-certificates.crt store=$root/build/java/authorities.p12
  if [ ! -f "$list" ]; then return; fi
  if [ "$list" -nt "$store" ]; then
    mkdir -p "$root/build/java"
    java "$root/tools/SystemTrust.java" "$list" "$store"
  fi
  export MAVEN_OPTS="${MAVEN_OPTS-} -Djavax.net.ssl.trustStore=$store -Djavax.net.ssl.trustStorePassword=changeit"
}

generate_java() { # SWIG BINDINGS
  local swig=$1 bindings=$2 classes=$2/java/libpa/src/main/java/libpa/low
  mkdir -p "$classes" "$bindings/java/native"
  "$swig" -java -noproxy -package libpa.low "-I$bindings" "-I$root/capi/include" -outdir "$classes" \
    -o "$bindings/java/native/palow_wrap.c" "$bindings/pa.i"
}

# Newer JVMs than the one that compiles, where they are installed: only they have virtual threads.
newer_jvms() {
  local java
  for java in /usr/lib/jvm/*/bin/java; do
    if [ -x "$java" ] && [ "$(java_version "$java")" -ge 21 ]; then echo "$java"; fi
  done | sort -u
}

java_version() { "$1" -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.specification.version = //p'; }

maven() { # ARGUMENT...
  mvn -q -B -ntp -f "$root/bindings/java" "-Dlibpa.build=$root/build/java" "$@"
}

# Runs the tests of package libpa on a JVM, and counts them. Surefire's closing lines are on standard output.
test_java_on() { # NAME JAVA [MAVEN_ARGUMENT...]
  local name=$1 java=$2 log totals ran wrong skipped
  shift 2
  log=$(log_file "java-tests-$(java_version "$java")")
  say "Java: testing on $("$java" -version 2>&1 | sed -n 2p)"
  rm -rf "$root/build/java/libpa/surefire-reports"
  maven verify "-Dlibpa.test.jvm=$java" "$@" 2>&1 | tee "$log" || true
  totals=$(cat "$root"/build/java/libpa/surefire-reports/*.txt 2>/dev/null | sed -n 's/^Tests run: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\), Skipped: \([0-9]*\).*/\1 \2 \3 \4/p' |
    awk '{ ran += $1 - $4; failed += $2 + $3; skipped += $4 } END { print ran + 0, failed + 0, skipped + 0 }')
  read -r ran wrong skipped <<<"$totals"
  echo "Tests run: $((ran + skipped)), Failures: $wrong, Errors: 0, Skipped: $skipped"
  if [ "$ran" = 0 ] || { [ "$wrong" = 0 ] && grep -q '^\[ERROR\]' "$log"; }; then
    count "$name" "$ran" 1 "the build: see $log"
  else
    count "$name" "$((ran - wrong))" "$wrong"
  fi
  if grep -qE '^(WARNING|FATAL ERROR) in native method' "$log"; then count "$name, -Xcheck:jni" 0 1; fi
}

# The manual has no gaps: every public item is documented, with all its parameters.
test_javadoc() {
  say "Java: javadoc"
  rm -rf "$root/build/java/javadoc"
  if javadoc -quiet -Xdoclint:all -Werror --release 17 -notimestamp -d "$root/build/java/javadoc" \
    -sourcepath "$root/bindings/java/libpa/src/main/java" libpa; then
    count "java, javadoc" 1 0
  else
    count "java, javadoc" 0 1
  fi
}

# Two builds of the same sources are the same jars, byte by byte.
test_jars() {
  local first
  say "Java: jars are reproducible"
  first=$(cat "$root"/build/java/libpa{,-native}/*.jar | sha256sum)
  rm -f "$root"/build/java/libpa{,-native}/*.jar
  if maven package -DskipTests && [ "$(cat "$root"/build/java/libpa{,-native}/*.jar | sha256sum)" = "$first" ]; then
    count "java, jars" 1 0
  else
    count "java, jars" 0 1 "two builds differ"
  fi
}

# The first block of language $1 in docs/java.md whose lines match $2.
block_of_page() { # LANGUAGE PATTERN
  awk -v fence="\`\`\`$1" -v pattern="$2" '
    /^```/ && inside { if (wanted && found) { printf "%s", block; exit }; inside = 0; next }
    /^```/ { inside = 1; wanted = $0 == fence; found = 0; block = ""; next }
    inside { block = block $0 "\n"; if ($0 ~ pattern) found = 1 }
  ' "$root/docs/java.md"
}

# What docs/java.md says from a clone to a program: its commands, in a copy of the sources and a home of its own, and its program in an
# empty folder. The cache of natives would be that of the user.
test_first_program() {
  local folder=$root/build/java-page printed
  say "Java: install and first program of docs/java.md"
  rm -rf "${folder:?}/home" "${folder:?}/empty"
  mkdir -p "$folder/clone" "$folder/home" "$folder/empty"
  (cd "$root" && git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - 2>/dev/null) | tar -C "$folder/clone" -xf -
  block_of_page sh 'cmake --install' >"$folder/install.sh"
  block_of_page sh 'First.java' >"$folder/first.sh"
  block_of_page java 'public class First' >"$folder/empty/First.java"
  block_of_page '' 'COMPLETED' >"$folder/printed"
  if (cd "$folder/clone" && as_newcomer sh -e "$folder/install.sh") >"$(log_file java-install)" 2>&1 &&
    printed=$(cd "$folder/empty" && as_newcomer sh -e "$folder/first.sh") &&
    [ -n "$printed" ] && diff <(echo "$printed") "$folder/printed"; then
    count "java, page" 1 0
  else
    count "java, page" 0 1 "see $(log_file java-install)"
  fi
}

as_newcomer() { # COMMAND...; `folder` is of the caller
  env -u PKG_CONFIG_PATH -u LD_LIBRARY_PATH -u CLASSPATH "HOME=$folder/home" "XDG_CACHE_HOME=$folder/home/.cache" "$@"
}

test_java() {
  local java
  test_javadoc
  test_first_program
  # A collection for each megabyte: whatever moves or dies too early does so here.
  test_java_on java "$(command -v java)" "-Dlibpa.test.args=-Xcheck:jni -XX:+UseSerialGC -Xmn1m"
  while read -r java; do
    test_java_on "java $(java_version "$java")" "$java" "-Dlibpa.test.args=-Xcheck:jni --enable-native-access=ALL-UNNAMED"
  done < <(newer_jvms)
  test_jars
}

# Builds a module of profile $1 with what it needs, and sets `class_path`.
build_module() { # PROFILE MODULE
  maven package -DskipTests "-P$1" -pl "native,libpa,:$2" &&
    class_path="$root/build/java/$2/classes:$root/build/java/$2/dependencies/*:$root/build/java/libpa-native/classes"
}

build_java_fetch() { # FILE
  local class_path
  build_module examples fetch || return
  # The shell that starts this in the background lets it ignore SIGINT, and a JVM leaves ignored signals alone.
  cat >"$1" <<END
#!/bin/sh
exec env --default-signal=INT java -Dlibpa.cache="$root/build/java/cache" -cp "$class_path" fetch.Fetch "\$@"
END
  chmod +x "$1"
}

bench_java() { # OUT.json QUICK
  local class_path row groups=()
  build_module benchmarks libpa-bench || return
  # Each row in a JVM of its own: what was inlined for one body must not slow down the next. The collector is the one that the JVM takes by
  # itself on a machine of this size.
  for row in java_sq_parallel java_1us_parallel java_sleep_invokeall; do
    groups+=("$root/build/java/$row.json")
    # shellcheck disable=SC2086 # QUICK is one word or none
    java -XX:ActiveProcessorCount=2 -XX:+UseG1GC -Xms3g -Xmx3g -Dlibpa.cache="$root/build/java/cache" -cp "$class_path:$root/build/java/libpa/classes" \
      bench.Bench $2 "$row" "${groups[-1]}" || return
  done
  python3 - "$1" "${groups[@]}" <<'END'
import json, sys
merged = {"rows": {}, "contenders": []}
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as file:
        group = json.load(file)
    merged["rows"].update(group["rows"])
    merged["contenders"] += group["contenders"]
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(merged, file, indent=1)
END
}
