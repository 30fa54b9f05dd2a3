package fetch;

import java.io.IOException;
import java.io.PrintWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import libpa.Call;
import libpa.End;
import libpa.ItemResult;
import libpa.ItemState;
import libpa.Limiter;
import libpa.Options;
import libpa.Parallel;
import libpa.Rate;
import libpa.Results;
import libpa.Retry;
import libpa.StopToken;

/**
 * Gets many pages over HTTP, in parallel and politely, with java.net.http and libpa.
 *
 * <pre>fetch [-w WORKERS] [-r REQUESTS_PER_SECOND] [-a ATTEMPTS] URLS REPORT</pre>
 *
 * <p>URLS is a file with one address on each line. REPORT gets one line for each address, in the same order, with these fields between tabs:
 * state, attempts, how many of them were answered 429, SHA-256 of the body, address, why it failed.
 *
 * <p>What to look at:
 *
 * <ul>
 *   <li>{@code fetchPage}: the function that is called for each address
 *   <li>{@link Refusal}: an exception that knows what the server asked for
 *   <li>{@code options}: how politely
 *   <li>{@code stopOnSignals}: Ctrl-C
 * </ul>
 *
 * <p>Exit status: 0 all pages are there, 1 some are not, 2 it could not begin, 130 stopped by Ctrl-C.
 */
public final class Fetch {
  private static final int ALL_FETCHED = 0;
  private static final int SOME_FAILED = 1;
  private static final int CANNOT_BEGIN = 2;
  private static final int STOPPED = 130;
  private static final int FAILURES_SHOWN = 10;

  private record Address(String url, AtomicInteger refused) {}

  private record Page(long bytes, String sha256) {}

  private static final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private static final StopToken stop = new StopToken();
  private static final CountDownLatch finished = new CountDownLatch(1);
  private static volatile int status = CANNOT_BEGIN;

  private Fetch() {}

  // ---------------------------------------------------------------- one page

  private static Page fetchPage(Address from, Call call) throws IOException, InterruptedException {
    call.checkStopped();
    final HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(from.url()));
    call.remaining().ifPresent(left -> request.timeout(left.plusMillis(1)));
    final HttpResponse<byte[]> response = client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
    if (response.statusCode() == 429) from.refused().incrementAndGet();
    if (response.statusCode() != 200) throw new Refusal(response);
    return new Page(response.body().length, Sha256.of(response.body()));
  }

  /** An address that is wrong stays wrong, a server that is busy may have time later. */
  private static boolean isWorthRetrying(Throwable error) {
    return !(error instanceof Refusal refusal) || refusal.isTemporary();
  }

  // ---------------------------------------------------------------- all pages

  private record Arguments(int workers, double requestsPerSecond, int attempts, Path urls, Path report) {}

  private static Options options(Arguments how) {
    return Parallel.workers(how.workers())
        .limiter(new Limiter(Rate.perSecond(how.requestsPerSecond()))) // any number of runs could share it, and so one quota
        .retry(Retry.attempts(how.attempts())
            .backoff(Duration.ofMillis(200)) // where the server names no time
            .on(IOException.class)
            .retryIf(Fetch::isWorthRetrying))
        .itemTimeout(Duration.ofSeconds(30)) // a server that says nothing for so long has failed this attempt
        .stop(stop);
  }

  private static int fetchAll(Arguments how) throws IOException {
    final List<Address> addresses =
        Files.readAllLines(how.urls(), StandardCharsets.UTF_8).stream().map(url -> new Address(url, new AtomicInteger())).toList();
    final long began = System.nanoTime();
    final Results<Page> results;
    try (Bar bar = new Bar("pages", addresses.size())) {
      results = options(how).onProgress(bar::show).runWithCall(addresses, Fetch::fetchPage);
    }
    report(results, addresses, how.report(), (System.nanoTime() - began) / 1e9);
    showFirstFailures(results, addresses);
    if (results.end() == End.CANCELLED) return STOPPED;
    return results.ok() ? ALL_FETCHED : SOME_FAILED;
  }

  // ---------------------------------------------------------------- what became of them

  private static void report(Results<Page> results, List<Address> addresses, Path path, double seconds) throws IOException {
    long fetched = 0;
    long notDone = 0;
    long attempts = 0;
    long refused = 0;
    long bytes = 0;
    try (PrintWriter report = new PrintWriter(path.toFile(), StandardCharsets.UTF_8)) {
      for (ItemResult<Page> result : results) {
        final Address from = addresses.get((int) result.index());
        final String state = result.state().name().toLowerCase(Locale.ROOT).replace('_', ' ');
        final String digest = result.ok() ? result.value().sha256() : "-";
        report.printf("%s\t%d\t%d\t%s\t%s\t%s%n", state, result.attempts(), from.refused().get(), digest, from.url(), why(result));
        attempts += result.attempts();
        refused += from.refused().get();
        if (result.ok()) {
          fetched++;
          bytes += result.value().bytes();
        } else if (result.state() == ItemState.CANCELLED || result.state() == ItemState.ABORTED) {
          notDone++;
        }
      }
      if (report.checkError()) throw new IOException("can't write " + path);
    }
    System.out.printf(
        Locale.ROOT,
        "%d pages: %d fetched (%.1f MB), %d failed, %d not done; %d attempts, of which %d were answered 429; %.2f s%n",
        results.size(), fetched, bytes / 1e6, results.failures().size() - notDone, notDone, attempts, refused, seconds);
  }

  private static String why(ItemResult<?> result) {
    if (result.ok()) return "";
    return String.valueOf(result.error().getMessage()).replaceAll("[\t\n]", " ");
  }

  private static void showFirstFailures(Results<Page> results, List<Address> addresses) {
    results.failures().stream()
        .filter(failure -> failure.state() == ItemState.FAILED || failure.state() == ItemState.TIMED_OUT)
        .limit(FAILURES_SHOWN)
        .forEach(failure -> System.err.printf(
            "fetch: %s: %s (%d attempts)%n", addresses.get((int) failure.index()).url(), why(failure), failure.attempts()));
  }

  // ---------------------------------------------------------------- the program

  /** The JVM ends when its hooks have: this one waits until what was done has been reported. */
  private static void stopOnSignals() {
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      stop.request();
      try {
        finished.await();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      Runtime.getRuntime().halt(status);
    }));
  }

  private static Arguments parse(String[] arguments) {
    int workers = 8;
    int attempts = 5;
    double requestsPerSecond = 10;
    int at = 0;
    for (; at + 1 < arguments.length && arguments[at].startsWith("-"); at += 2) {
      final String value = arguments[at + 1];
      switch (arguments[at]) {
        case "-w" -> workers = Integer.parseInt(value);
        case "-r" -> requestsPerSecond = Double.parseDouble(value);
        case "-a" -> attempts = Integer.parseInt(value);
        default -> throw new IllegalArgumentException("there is no option " + arguments[at]);
      }
    }
    if (arguments.length - at != 2) throw new IllegalArgumentException("two files are wanted");
    return new Arguments(workers, requestsPerSecond, attempts, Path.of(arguments[at]), Path.of(arguments[at + 1]));
  }

  /**
   * Runs it.
   *
   * @param arguments as above
   */
  public static void main(String[] arguments) {
    stopOnSignals();
    try {
      status = fetchAll(parse(arguments));
    } catch (IllegalArgumentException wrong) {
      System.err.println("fetch: " + wrong.getMessage());
      System.err.println("usage: fetch [-w WORKERS] [-r REQUESTS_PER_SECOND] [-a ATTEMPTS] URLS REPORT");
    } catch (IOException error) {
      System.err.println("fetch: " + error);
    } finally {
      System.out.flush();
      finished.countDown();
    }
    System.exit(status);
  }
}
