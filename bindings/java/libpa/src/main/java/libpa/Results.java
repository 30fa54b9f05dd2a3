package libpa;

import java.util.AbstractList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.RandomAccess;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

/**
 * The outcomes of a run, one for each input, in input order. Cannot be changed; may be read by many threads at once.
 *
 * @param <R> the type of the values
 */
public final class Results<R> implements Iterable<ItemResult<R>> {
  /** Where they are. */
  interface Outcomes<R> {
    int size();

    ItemState state(int index);

    R value(int index);

    ItemResult<R> get(int index);
  }

  private final Outcomes<R> outcomes;
  private final End end;
  private final boolean ok;
  private final int batchSize;

  Results(Outcomes<R> outcomes, End end, boolean ok, int batchSize) {
    this.outcomes = outcomes;
    this.end = end;
    this.ok = ok;
    this.batchSize = batchSize;
  }

  /**
   * How many there are: one for each input, those that were not done included. Of a source: one for each input that it delivered.
   *
   * @return the number
   */
  public int size() {
    return outcomes.size();
  }

  /**
   * What became of an item.
   *
   * @param index its position in the input
   * @return its outcome
   * @throws IndexOutOfBoundsException if there is no such item
   */
  public ItemResult<R> get(int index) {
    return outcomes.get(java.util.Objects.checkIndex(index, size()));
  }

  /**
   * Why the run ended.
   *
   * @return {@link End#COMPLETED} if nothing was left out
   */
  public End end() {
    return end;
  }

  /**
   * Whether the run completed and no item failed: what ended early is never ok.
   *
   * @return true if there is a value for each input
   */
  public boolean ok() {
    return ok;
  }

  /**
   * These outcomes, if all is well.
   *
   * @return this
   * @throws BatchException if the run ended early or items failed
   */
  public Results<R> orThrow() {
    if (!ok) throw new BatchException(this);
    return this;
  }

  /**
   * The values, in input order.
   *
   * @return a list that cannot be changed, of the length of the input
   * @throws BatchException if the run ended early or items failed
   */
  public List<R> values() {
    orThrow();
    return new Values<>(outcomes);
  }

  /**
   * The items that succeeded, in input order, however the run ended.
   *
   * @return a list that cannot be changed
   */
  public List<ItemResult<R>> successes() {
    return those(true);
  }

  /**
   * The items that did not succeed, in input order: those that failed, and those that were not done.
   *
   * @return a list that cannot be changed
   */
  public List<ItemResult<R>> failures() {
    return ok ? Collections.emptyList() : those(false);
  }

  private List<ItemResult<R>> those(boolean succeeded) {
    return IntStream.range(0, size())
        .filter(index -> (outcomes.state(index) == ItemState.OK) == succeeded)
        .mapToObj(outcomes::get)
        .toList();
  }

  /**
   * Of {@code runBatch}: how many items a call was given, at most. With an automatic size it is a good value for
   * {@link Options#batchItems}.
   *
   * @return 0 for other runs
   */
  public int batchSize() {
    return batchSize;
  }

  /**
   * All outcomes, in input order.
   *
   * @return over each once
   */
  @Override
  public Iterator<ItemResult<R>> iterator() {
    return IntStream.range(0, size()).mapToObj(outcomes::get).iterator();
  }

  /**
   * All outcomes, in input order.
   *
   * @return a sequential stream
   */
  public Stream<ItemResult<R>> stream() {
    return StreamSupport.stream(spliterator(), false);
  }

  /** Says how it ended and how many there are. */
  @Override
  public String toString() {
    return "Results[" + size() + " items, " + (ok ? "ok" : end + ", " + failures().size() + " without a value") + "]";
  }

  private static final class Values<R> extends AbstractList<R> implements RandomAccess {
    private final Outcomes<R> outcomes;

    Values(Outcomes<R> outcomes) {
      this.outcomes = outcomes;
    }

    @Override
    public R get(int index) {
      return outcomes.value(java.util.Objects.checkIndex(index, size()));
    }

    @Override
    public int size() {
      return outcomes.size();
    }
  }
}
