package libpa;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Iterator;
import java.util.Optional;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The outcomes of a run, handed out one by one while others are made. It holds no more than its window: what is slow to read slows the source
 * down.
 *
 * <pre>{@code
 * try (ResultStream<Row> rows = Parallel.stream(lines, Row::parse)) {
 *   for (ItemResult<Row> row : rows) {
 *     if (row.ok()) write(row.value());
 *   }
 *   if (rows.end() != End.COMPLETED) ...                         // truncated
 * }
 * }</pre>
 *
 * <p>It can be walked once, by one thread at a time. After an early end what is done, or was running, is still handed out; what never ran gets
 * no outcome. If a source, key function, callback or worker's start failed, walking it throws {@link RunFailedException} once all that was
 * done is handed out. Interrupting the thread that waits for an outcome stops the run.
 *
 * <p>{@link #close} ends it at any moment, from any thread. One that is neither closed nor read to its end is closed some time after nobody can
 * reach it any more.
 *
 * @param <R> the type of the values
 */
public final class ResultStream<R> implements Iterable<ItemResult<R>>, AutoCloseable {
  private final Walk<R> run;
  private final Cleaner.Cleanable cleanable;

  ResultStream(Walk<R> run) {
    this.run = run;
    // Closing may wait for calls that run, which the thread of a cleaner must not.
    cleanable = Handle.register(this, () -> {
      if (run.endOrNull() == null) Threads.pool().execute(run::close);
    });
  }

  /**
   * The outcomes that were not yet handed out.
   *
   * @return an iterator, of which any two take from each other
   */
  @Override
  public Iterator<ItemResult<R>> iterator() {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        try {
          return run.hasNext();
        } finally {
          Reference.reachabilityFence(ResultStream.this); // one that is walked is not abandoned
        }
      }

      @Override
      public ItemResult<R> next() {
        try {
          return run.next();
        } finally {
          Reference.reachabilityFence(ResultStream.this);
        }
      }
    };
  }

  /**
   * The outcomes that were not yet handed out, as a sequential stream; closing that closes this.
   *
   * @return a stream in the order in which they come
   */
  public Stream<ItemResult<R>> stream() {
    final int facts = Spliterator.NONNULL | Spliterator.ORDERED;
    return StreamSupport.stream(Spliterators.spliteratorUnknownSize(iterator(), facts), false).onClose(this::close);
  }

  /**
   * Hands out the next outcome, if it comes in time.
   *
   * @param timeout how long to wait; zero only looks
   * @return empty if nothing came, or the stream is over: then {@link #end} is there
   */
  public Optional<ItemResult<R>> poll(Duration timeout) {
    try {
      return Optional.ofNullable(run.poll(Math.max(0, Nanos.of(timeout))));
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /**
   * Why the stream ended.
   *
   * @return {@code null} until all was handed out, or it was closed
   */
  public End end() {
    return run.endOrNull();
  }

  /**
   * Of a stream of batches: how many items a call was given so far, at most.
   *
   * @return 0 for other streams
   */
  public int batchSize() {
    return run.batchSize();
  }

  /** Ends the stream: what is queued never starts, the source is not touched again, calls that are running are waited for: by
   * who walks it, where a call of the stream itself closes it. */
  @Override
  public void close() {
    run.close();
    cleanable.clean();
  }
}
