# Compares what fetch reported with what the server logged, and appends a row to the table.
#
#     awk -f check.awk -v phase=… … role=sums sums role=report report role=log access.log
#
# sums is what sha256sum says of the pages, report is fetch's, log is nginx's: when a request was answered, how long that
# took, status, page. Exit status: 0 if they agree, else 1.

function wrong(what) {
  if (mistakes++ < 10) print "WRONG: phase " phase ": " what > "/dev/stderr"
}

role == "sums" { sum["/" $2] = $1; pages++; next }

role == "report" {
  split($0, field, "\t")
  page = field[5]
  sub(/^http:\/\/[^\/]*/, "", page)
  state[page] = field[1]; attempts[page] = field[2]; refused[page] = field[3]; body[page] = field[4]; why[page] = field[6]
  if (!(page in sum)) wrong("an outcome for " page ", which is no page")
  if (outcomes[page]++) wrong(page " has two outcomes")
  next
}

role == "log" {
  ended = $1; began = $1 - $2; status = $3; page = $4
  requests++
  logged[page]++
  if (status == 429) { refused_in_log++; logged_refused[page]++ }
  if (!(page in sum)) wrong("a request for " page ", which is no page")

  # A pause begins with a 429, and lasts until Retry-After has passed since the last of its 429s. What begins after the first
  # 429 was on its way before libpa heard of it.
  if (paused && began >= pause_until - 0.1) {
    silence = began - latest
    if (shortest_silence == "" || silence < shortest_silence) shortest_silence = silence
    paused = 0
  }
  if (paused && began > pause_began) {
    stragglers++
    if (began - pause_began > longest_straggle) longest_straggle = began - pause_began
  }
  if (status == 429) {
    if (!paused) { paused = 1; pauses++; pause_began = ended }
    pause_until = ended + retry_after
  }
  if (began > latest) latest = began
}

END {
  for (page in sum) {
    if (!outcomes[page]) { wrong(page " has no outcome"); continue }
    total_attempts += attempts[page]
    total_refused += refused[page]
    if (state[page] == "ok") {
      ok++
      if (body[page] != sum[page]) wrong(page " has another body: SHA-256 " body[page] " instead of " sum[page])
    } else if (!interrupted || state[page] != "cancelled") {
      failed++
      wrong(page " is " state[page] ": " why[page])
    }
    # Ctrl-C may cut off a request on its way to the server: then it is an attempt, but not in the log.
    unheard = attempts[page] - logged[page]
    if (unheard != 0 && !(interrupted && state[page] != "ok" && unheard == 1))
      wrong(page " was attempted " attempts[page] " times, and is " logged[page] + 0 " times in the log")
    if (refused[page] != logged_refused[page] + 0 && unheard == 0 && !interrupted)
      wrong(page " saw " refused[page] " times 429, and the log has " logged_refused[page] + 0)
  }

  if (refusals == "none" && refused_in_log > 0) wrong(refused_in_log " requests were refused, none should have been")
  if (refusals == "some" && !refused_in_log && !interrupted) wrong("no request was refused, some should have been: is this machine too slow to send so many?")

  # A worker that sees a 429 pauses the limiter before it goes on, so it sees the next one no sooner than Retry-After later:
  # in s seconds each worker sees at most s / Retry-After of them, and one more.
  most = workers * (int(seconds / retry_after) + 1)
  if (refused_in_log > most) wrong(refused_in_log " requests were refused: more than " most ", so the pauses did not hold")

  printf "%-5s %6d %6d %7d %9d %9d %11d %16d %8.2f %11.0f\n", phase, pages, ok, failed, total_attempts, total_refused,
         refused_in_log, requests, seconds, requests / seconds >> table
  if (shortest_silence != "")
    printf "Phase %s: pauses of %d s that the server asked for: %d; in each of them nothing came for at least %.3f s%s.\n", phase,
           retry_after, pauses, shortest_silence, stragglers ? sprintf("; requests that were on their way already: %d, the last " \
           "of them %.0f ms after a first 429", stragglers, 1000 * longest_straggle) : "" >> notes
  exit mistakes > 0
}
