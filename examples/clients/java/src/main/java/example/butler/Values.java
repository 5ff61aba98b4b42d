// SPDX-License-Identifier: BSD-3-Clause
package example.butler;

import butler_api.v1.QueryServiceOuterClass.BindValue;
import butler_api.v1.Values.Column;
import butler_api.v1.Values.IntColumn;
import butler_api.v1.Values.StringColumn;
import butler_api.v1.Values.Table;
import butler_api.v1.Values.Value;
import com.google.protobuf.ByteString;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** Turns what Java has into what messages have, and back. */
final class Values {
  private static final SecureRandom RANDOM = new SecureRandom();

  private Values() {}

  /**
   * Returns the table of one data ID: a Long or a String by dimension. A key may also be a field of a dimension that is
   * unique, such as {@code detector.full_name}; the service finds the dimension's value.
   */
  static Table table(Map<String, Object> dataId) {
    Table.Builder table = Table.newBuilder().setRows(1);
    dataId.forEach(
        (name, value) -> {
          Column.Builder column = table.addColumnsBuilder().setName(name);
          if (value instanceof Long number) {
            column.setInts(IntColumn.newBuilder().addValues(number));
          } else {
            column.setStrings(StringColumn.newBuilder().addDictionary((String) value).addIndexes(0));
          }
        });
    return table.build();
  }

  /** Returns what a value holds, null for nothing or a kind that this client does not know. */
  static Object plain(Value value) {
    return switch (value.getKindCase()) {
      case INT_VALUE -> value.getIntValue();
      case STRING_VALUE -> value.getStringValue();
      case FLOAT_VALUE -> value.getFloatValue();
      case BOOL_VALUE -> value.getBoolValue();
      default -> null;
    };
  }

  /** Returns the value of a name in an expression. */
  static BindValue bound(Object value) {
    Value.Builder made = Value.newBuilder();
    if (value instanceof Long number) {
      made.setIntValue(number);
    } else if (value instanceof Double number) {
      made.setFloatValue(number);
    } else {
      made.setStringValue((String) value);
    }
    return BindValue.newBuilder().setValue(made).build();
  }

  /** Returns the rows of a table, by column. Columns of kinds that this client does not know are left out. */
  static List<Map<String, Object>> rows(Table table) {
    List<Map<String, Object>> rows = new ArrayList<>();
    for (int i = 0; i < table.getRows(); i++) {
      Map<String, Object> row = new LinkedHashMap<>();
      for (Column column : table.getColumnsList()) {
        row.put(column.getName(), column.getNullRowsList().contains(i) ? null : cell(column, i));
      }
      rows.add(row);
    }
    return rows;
  }

  private static Object cell(Column column, int row) {
    return switch (column.getValuesCase()) {
      case INTS -> column.getInts().getValues(row);
      case STRINGS -> column.getStrings().getDictionary(column.getStrings().getIndexes(row));
      case FLOATS -> column.getFloats().getValues(row);
      case BOOLS -> column.getBools().getValues(row);
      case UUIDS -> ids(column.getUuids()).get(row);
      default -> null;
    };
  }

  /** Returns UUIDs that follow each other. */
  static List<UUID> ids(ByteString joined) {
    List<UUID> ids = new ArrayList<>();
    ByteBuffer buffer = joined.asReadOnlyByteBuffer();
    while (buffer.hasRemaining()) {
      ids.add(new UUID(buffer.getLong(), buffer.getLong()));
    }
    return ids;
  }

  /** Returns the 16 bytes of a UUID. */
  static ByteString bytes(UUID id) {
    ByteBuffer buffer = ByteBuffer.allocate(16);
    buffer.putLong(id.getMostSignificantBits()).putLong(id.getLeastSignificantBits()).flip();
    return ByteString.copyFrom(buffer);
  }

  /** Returns the id of a new mutation. */
  static ByteString newRequest() {
    return bytes(UUID.randomUUID());
  }

  /** Returns a UUID of version 7: 48 bits of milliseconds, the version, the variant, and 74 bits by chance. */
  static UUID newDatasetId() {
    long high = System.currentTimeMillis() << 16 | 7L << 12 | RANDOM.nextInt(1 << 12);
    long low = 2L << 62 | RANDOM.nextLong() >>> 2;
    return new UUID(high, low);
  }
}
