// SPDX-License-Identifier: BSD-3-Clause

import { parse, stringify } from "uuid";

import { BindValue } from "../build/api/butler_api/v1/query_service.js";
import { Column, Table, Value } from "../build/api/butler_api/v1/values.js";

export type Scalar = bigint | number | string | boolean;

/**
 * Says which dataset is meant: an integer, as a bigint, or a string by dimension. A key may also be a field of a dimension
 * that is unique, such as "detector.full_name"; the service finds the dimension's value.
 */
export type DataId = Record<string, bigint | string>;

/** A row of a result, by column. */
export type Row = Record<string, Scalar | null>;

/** Returns the table of one data ID. */
export function tableOf(dataId: DataId): Table {
  const columns = Object.entries(dataId).map(([name, value]) =>
    Column.create(
      typeof value === "bigint"
        ? { name, values: { $case: "ints", value: { values: [value] } } }
        : { name, values: { $case: "strings", value: { dictionary: [value], indexes: [0] } } },
    ),
  );
  return Table.create({ columns, rows: 1 });
}

/** Returns what a value holds, null for nothing or a kind that this client does not know. */
export function plain(value: Value | undefined): Scalar | null {
  switch (value?.kind?.$case) {
    case "intValue":
    case "stringValue":
    case "floatValue":
    case "boolValue":
      return value.kind.value;
    default:
      return null;
  }
}

/** Returns the value of a name in an expression. */
export function bound(value: bigint | number | string): BindValue {
  const kind: Value["kind"] =
    typeof value === "bigint"
      ? { $case: "intValue", value }
      : typeof value === "number"
        ? { $case: "floatValue", value }
        : { $case: "stringValue", value };
  return BindValue.create({ kind: { $case: "value", value: { kind } } });
}

/** Returns the rows of a table. Columns of kinds that this client does not know are left out. */
export function rowsOf(table: Table): Row[] {
  const rows: Row[] = Array.from({ length: table.rows }, () => ({}));
  for (const column of table.columns) {
    const value = readerOf(column);
    rows.forEach((row, i) => {
      if (column.nullRows.includes(i)) {
        row[column.name] = null;
      } else if (value !== undefined) {
        row[column.name] = value(i) ?? null;
      }
    });
  }
  return rows;
}

function readerOf(column: Column): ((row: number) => Scalar | undefined) | undefined {
  const { values } = column;
  switch (values?.$case) {
    case "ints":
    case "floats":
    case "bools":
      return (i) => values.value.values[i];
    case "strings":
      return (i) => values.value.dictionary[values.value.indexes[i] ?? 0];
    case "uuids":
      return (i) => stringify(values.value.subarray(16 * i, 16 * i + 16));
    default:
      return undefined;
  }
}

/** Returns the 16 bytes of a UUID. */
export function bytesOf(id: string): Buffer {
  return Buffer.from(parse(id));
}

/** Returns UUIDs that follow each other. */
export function idsOf(joined: Buffer): string[] {
  return Array.from({ length: joined.length / 16 }, (_, i) => stringify(joined.subarray(16 * i, 16 * i + 16)));
}
