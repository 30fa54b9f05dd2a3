package libpa;

/**
 * How an object crosses the border between a program and its worker processes: as bytes. {@link Codecs} has ready-made ones; for types of
 * your own write one, by a library of your choice.
 *
 * <pre>{@code
 * final class Json<T> implements Codec<T> {
 *   private final Class<T> type;
 *   Json(Class<T> type) { this.type = type; }
 *   public byte[] encode(T object) throws IOException { return mapper.writeValueAsBytes(object); }
 *   public T decode(byte[] bytes) throws IOException { return mapper.readValue(bytes, type); }
 * }
 * }</pre>
 *
 * <p>It is never asked about {@code null}, which crosses by itself. What it throws is the error of the item alone. It is called on several
 * threads at a time.
 *
 * @param <T> the type of the objects
 */
public interface Codec<T> {
  /**
   * Writes an object.
   *
   * @param object what to write, not {@code null}
   * @return bytes of which {@link #decode} can make it again; they may not be changed afterwards
   * @throws Exception makes the item fail
   */
  byte[] encode(T object) throws Exception;

  /**
   * Makes an object of what {@link #encode} wrote.
   *
   * @param bytes an array of its own
   * @return the object
   * @throws Exception makes the item fail
   */
  T decode(byte[] bytes) throws Exception;
}
