// SPDX-License-Identifier: BSD-3-Clause

import { BinaryReader } from "@bufbuild/protobuf/wire";
import { type ServiceError, status } from "@grpc/grpc-js";

/** What a service said of a call that failed. Decide by its reason, never by the message. */
export interface Problem {
  /** The canonical code, such as "NOT_FOUND". */
  code: string;
  /** One of the table in docs/protocol.md, such as "MISSING_COLLECTION". */
  reason: string;
  /** What the error is about. */
  metadata: Record<string, string>;
}

/** Bytes that were read are not those which were stored. */
export class DamagedError extends Error {}

/**
 * Returns what a service said, or undefined if it said nothing: an error without ErrorInfo comes from the network, or from
 * what lies between.
 */
export function problemOf(error: unknown): Problem | undefined {
  const { code, metadata } = error as Partial<ServiceError>;
  const details = metadata?.get("grpc-status-details-bin")[0];
  if (code === undefined || !(details instanceof Buffer)) {
    return undefined;
  }
  // google.rpc.Status: 3 are its details, each a google.protobuf.Any with its type in 1 and its content in 2.
  for (const detail of fields(details).get(3) ?? []) {
    const any = fields(detail);
    if (any.get(1)?.[0]?.toString().endsWith("/google.rpc.ErrorInfo")) {
      // google.rpc.ErrorInfo: 1 is the reason, 2 the domain, 3 the metadata, entries of a map.
      const info = fields(any.get(2)?.[0] ?? Buffer.alloc(0));
      const entries = (info.get(3) ?? []).map((entry) => {
        const pair = fields(entry);
        return [pair.get(1)?.[0]?.toString() ?? "", pair.get(2)?.[0]?.toString() ?? ""];
      });
      if (info.get(2)?.[0]?.toString() === "butler") {
        return {
          code: status[code],
          reason: info.get(1)?.[0]?.toString() ?? "",
          metadata: Object.fromEntries(entries) as Record<string, string>,
        };
      }
    }
  }
  return undefined;
}

/** Returns the strings, bytes and messages of a message, by number. */
function fields(message: Buffer): Map<number, Buffer[]> {
  const found = new Map<number, Buffer[]>();
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (type === 2) {
      found.set(number, [...(found.get(number) ?? []), Buffer.from(reader.bytes())]);
    } else {
      reader.skip(type);
    }
  }
  return found;
}
