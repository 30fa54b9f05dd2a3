package libpa;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;

/** Ready-made codecs, for what tasks take and return. */
public final class Codecs {
  private static final int NULL = -1;

  private Codecs() {}

  /**
   * Text, as UTF-8. Half of a pair of surrogates can't be encoded.
   *
   * @return a codec
   */
  public static Codec<String> string() {
    return Text.CODEC;
  }

  /**
   * Bytes as they are.
   *
   * @return a codec
   */
  public static Codec<byte[]> bytes() {
    return Bytes.CODEC;
  }

  /**
   * {@code int}s.
   *
   * @return a codec
   */
  public static Codec<Integer> int32() {
    return Int32.CODEC;
  }

  /**
   * {@code long}s.
   *
   * @return a codec
   */
  public static Codec<Long> int64() {
    return Int64.CODEC;
  }

  /**
   * {@code double}s.
   *
   * @return a codec
   */
  public static Codec<Double> float64() {
    return Float64.CODEC;
  }

  /**
   * Lists. An element may be {@code null}; the list that comes out cannot be changed.
   *
   * @param element for each element
   * @param <E> the type of the elements
   * @return a codec
   */
  public static <E> Codec<List<E>> list(Codec<E> element) {
    return new OfList<>(Objects.requireNonNull(element, "element"));
  }

  private static final class Text implements Codec<String> {
    static final Codec<String> CODEC = new Text();

    @Override
    public byte[] encode(String text) throws CharacterCodingException {
      final ByteBuffer bytes = StandardCharsets.UTF_8.newEncoder().encode(CharBuffer.wrap(text));
      return Arrays.copyOf(bytes.array(), bytes.limit());
    }

    @Override
    public String decode(byte[] bytes) throws CharacterCodingException {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    }
  }

  private static final class Bytes implements Codec<byte[]> {
    static final Codec<byte[]> CODEC = new Bytes();

    @Override
    public byte[] encode(byte[] bytes) {
      return bytes;
    }

    @Override
    public byte[] decode(byte[] bytes) {
      return bytes;
    }
  }

  /** What has a size that is always the same. */
  private static ByteBuffer exactly(int size, byte[] bytes) {
    if (bytes.length != size) throw new IllegalArgumentException(size + " bytes are needed, not " + bytes.length);
    return ByteBuffer.wrap(bytes);
  }

  private static final class Int32 implements Codec<Integer> {
    static final Codec<Integer> CODEC = new Int32();

    @Override
    public byte[] encode(Integer number) {
      return ByteBuffer.allocate(Integer.BYTES).putInt(number).array();
    }

    @Override
    public Integer decode(byte[] bytes) {
      return exactly(Integer.BYTES, bytes).getInt();
    }
  }

  private static final class Int64 implements Codec<Long> {
    static final Codec<Long> CODEC = new Int64();

    @Override
    public byte[] encode(Long number) {
      return ByteBuffer.allocate(Long.BYTES).putLong(number).array();
    }

    @Override
    public Long decode(byte[] bytes) {
      return exactly(Long.BYTES, bytes).getLong();
    }
  }

  private static final class Float64 implements Codec<Double> {
    static final Codec<Double> CODEC = new Float64();

    @Override
    public byte[] encode(Double number) {
      return ByteBuffer.allocate(Double.BYTES).putDouble(number).array();
    }

    @Override
    public Double decode(byte[] bytes) {
      return exactly(Double.BYTES, bytes).getDouble();
    }
  }

  /** The number of elements, and for each its size and its bytes. */
  private record OfList<E>(Codec<E> element) implements Codec<List<E>> {
    @Override
    public byte[] encode(List<E> list) throws Exception {
      final List<byte[]> parts = new ArrayList<>(list.size());
      long size = Integer.BYTES;
      for (E one : list) {
        final byte[] part = one == null ? null : element.encode(one);
        parts.add(part);
        size += Integer.BYTES + (part == null ? 0 : part.length);
      }
      final ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(size)).putInt(parts.size());
      for (byte[] part : parts) {
        bytes.putInt(part == null ? NULL : part.length);
        if (part != null) bytes.put(part);
      }
      return bytes.array();
    }

    @Override
    public List<E> decode(byte[] bytes) throws Exception {
      final ByteBuffer in = ByteBuffer.wrap(bytes);
      final int count = in.getInt();
      if (count < 0 || count > in.remaining() / Integer.BYTES)
        throw new IllegalArgumentException("a list of " + count + " is not in " + bytes.length + " bytes");
      final List<E> list = new ArrayList<>(count);
      for (int i = 0; i < count; i++) {
        final int size = in.getInt();
        if (size == NULL) {
          list.add(null);
          continue;
        }
        if (size < 0 || size > in.remaining()) throw new IllegalArgumentException("an element of " + size + " bytes is not whole");
        final byte[] part = new byte[size];
        in.get(part);
        list.add(element.decode(part));
      }
      return Collections.unmodifiableList(list);
    }
  }
}
