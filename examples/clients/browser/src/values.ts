// SPDX-License-Identifier: BSD-3-Clause

import type { Column, Table } from "../build/api/butler_api/v1/values_pb.js";

/** A value of a row; `undefined` is of a kind that is not shown here. */
export type Cell = bigint | number | string | boolean | null | undefined;

/** A row of a result, by column. */
export type Row = Record<string, Cell>;

/** Returns the rows of a table. */
export function rowsOf(table: Table): Row[] {
  const rows: Row[] = Array.from({ length: table.rows }, () => ({}));
  for (const column of table.columns) {
    const missing = new Set(column.nullRows);
    rows.forEach((row, i) => {
      row[column.name] = missing.has(i) ? null : cellOf(column, i);
    });
  }
  return rows;
}

function cellOf({ values }: Column, row: number): Cell {
  switch (values.case) {
    case "ints":
    case "floats":
    case "bools":
      return values.value.values[row];
    case "strings":
      return values.value.dictionary[values.value.indexes[row] ?? 0];
    case "uuids":
      return textOf(values.value.subarray(16 * row, 16 * row + 16));
    default:
      return undefined;
  }
}

/** Returns bytes as hexadecimal digits. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns the text of a UUID. */
export function textOf(id: Uint8Array): string {
  return hex(id).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Returns the 16 bytes of a UUID. */
export function bytesOf(id: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(id.replaceAll("-", "").match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
