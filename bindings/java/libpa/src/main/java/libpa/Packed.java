package libpa;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** Inputs on their way to libpa: how many, and for each its size and its bytes. One array for all of them makes one call of JNI. */
final class Packed {
  /** So much goes at once, or one item. */
  private static final int MOST = 1 << 20;

  private byte[] bytes = new byte[1 << 10];
  private int size;

  void begin() {
    if (bytes.length > 2 * MOST) bytes = new byte[MOST]; // one item was very large
    size = Integer.BYTES;
  }

  boolean isFull() {
    return size >= MOST;
  }

  void add(byte[] item) {
    reserve(Integer.BYTES + (long) item.length);
    put(size, item.length);
    System.arraycopy(item, 0, bytes, size + Integer.BYTES, item.length);
    size += Integer.BYTES + item.length;
  }

  /** One without bytes. */
  void add(int kind) {
    reserve(Integer.BYTES);
    put(size, kind);
    size += Integer.BYTES;
  }

  byte[] finish(int count) {
    put(0, count);
    return bytes;
  }

  private void put(int at, int number) {
    ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder()).putInt(at, number);
  }

  private void reserve(long more) {
    final long needed = size + more;
    if (needed <= bytes.length) return;
    if (needed > Integer.MAX_VALUE - 8) throw new OutOfMemoryError("an item is longer than an array of Java can hold");
    bytes = Arrays.copyOf(bytes, (int) Math.min(Math.max(needed, 2L * bytes.length), Integer.MAX_VALUE - 8));
  }
}
