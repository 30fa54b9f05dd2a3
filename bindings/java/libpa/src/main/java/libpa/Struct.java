package libpa;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import libpa.low.palow;
import libpa.low.palowConstants;

/** A struct of C in memory that the garbage collector frees: whoever hands out its address keeps this reachable. */
class Struct {
  final ByteBuffer bytes;
  final long address;

  Struct(int size) {
    bytes = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
    address = palow.address_of(bytes);
  }

  /** A pa_error. */
  static final class Failure extends Struct {
    Failure() {
      super(palowConstants.SIZEOF_ERROR);
    }

    String message() {
      int end = palowConstants.ERROR_MESSAGE;
      while (end < bytes.capacity() && bytes.get(end) != 0) end++;
      final byte[] text = new byte[end - palowConstants.ERROR_MESSAGE];
      bytes.get(palowConstants.ERROR_MESSAGE, text);
      return new String(text, StandardCharsets.UTF_8);
    }

    /** Throws what the status of a call that was handed this means in Java. */
    void check(int status) {
      if (status >= 0) return;
      switch (status) {
        case palowConstants.PA_STATUS_INVALID -> throw new IllegalArgumentException(message());
        case palowConstants.PA_STATUS_NO_MEMORY -> throw new OutOfMemoryError(message());
        default -> throw new IllegalStateException(palow.pa_status_name(status) + ": " + message());
      }
    }

    int status() {
      return bytes.getInt(0);
    }
  }

  /** A pa_chunk. */
  static final class Chunk extends Struct {
    Chunk() {
      super(palowConstants.SIZEOF_CHUNK);
    }

    long first() {
      return bytes.getLong(palowConstants.CHUNK_FIRST);
    }

    int count() {
      return (int) bytes.getLong(palowConstants.CHUNK_COUNT);
    }

    /** Of indices that were never taken there may be more than an int counts. */
    long longCount() {
      return bytes.getLong(palowConstants.CHUNK_COUNT);
    }

    long cookie() {
      return bytes.getLong(palowConstants.CHUNK_COOKIE);
    }

    ItemState state() {
      return ItemState.of(bytes.getInt(palowConstants.CHUNK_STATE));
    }

    int attempts() {
      return bytes.getInt(palowConstants.CHUNK_ATTEMPTS);
    }

    int wake() {
      return bytes.getInt(palowConstants.CHUNK_WAKE);
    }

    long durationNanos() {
      return bytes.getLong(palowConstants.CHUNK_DURATION_NS);
    }

    long waitNanos() {
      return bytes.getLong(palowConstants.CHUNK_WAIT_NS);
    }
  }
}
