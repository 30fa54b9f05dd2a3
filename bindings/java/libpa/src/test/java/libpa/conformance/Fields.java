package libpa.conformance;

import com.google.gson.JsonObject;
import java.util.Set;

/** A runner fails on what it does not know, so that nothing is passed over in silence. */
final class Fields {
  private Fields() {}

  static void check(JsonObject object, String where, String... known) {
    for (String field : object.keySet())
      if (!Set.of(known).contains(field)) throw new IllegalArgumentException("nobody knows the field " + field + " of " + where);
  }
}
