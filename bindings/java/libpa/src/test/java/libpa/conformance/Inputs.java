package libpa.conformance;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;

/** What a case puts in: a list, or an iterator that counts what it delivers, and may fail. */
final class Inputs {
  final List<Long> items = new ArrayList<>();
  final long hint;
  private final boolean endless;
  private final long failsAt;

  Inputs(JsonElement from) {
    if (from.isJsonArray()) {
      for (JsonElement item : from.getAsJsonArray()) items.add(item.getAsLong());
      endless = false;
      hint = failsAt = -1;
      return;
    }
    final JsonObject fields = from.getAsJsonObject();
    // An iterator delivers one by one in any case.
    Fields.check(fields, "inputs", "count", "endless", "hint", "fails_at", "one_by_one");
    endless = fields.has("endless") && fields.get("endless").getAsBoolean();
    hint = fields.has("hint") ? fields.get("hint").getAsLong() : -1;
    failsAt = fields.has("fails_at") ? fields.get("fails_at").getAsLong() : -1;
    final long count = fields.has("count") ? fields.get("count").getAsLong() : 0;
    for (long x = 0; x < count; x++) items.add(x);
  }

  Iterable<Long> source(Observed seen) {
    return () -> new Iterator<>() {
      @Override
      public boolean hasNext() {
        return endless || seen.delivered.get() < items.size();
      }

      @Override
      public Long next() {
        if (!hasNext()) throw new NoSuchElementException();
        final long at = seen.delivered.get();
        if (at == failsAt) throw new IllegalStateException("source failed");
        seen.delivered.incrementAndGet();
        return endless ? at : items.get((int) at);
      }
    };
  }
}
