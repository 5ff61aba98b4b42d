// SPDX-License-Identifier: BSD-3-Clause

import { Code, ConnectError } from "@connectrpc/connect";

import { ErrorInfoSchema } from "../build/api/google/rpc/error_details_pb.js";

/** What a service said of a call that failed. Decide by its reason, never by the message. */
export interface Problem {
  /** The canonical code, such as "NotFound". */
  code: string;
  /** One of the table in docs/protocol.md, such as "MISSING_COLLECTION"; empty if what lies between failed. */
  reason: string;
  message: string;
  /** What the error is about. */
  metadata: Record<string, string>;
}

/** Bytes that were read are not those which were stored. */
export class DamagedError extends Error {}

/** Returns what is known of whatever was thrown. */
export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof DamagedError) {
    return { code: Code[Code.DataLoss], reason: "ARTIFACT_INTEGRITY", message: thrown.message, metadata: {} };
  }
  const error = ConnectError.from(thrown);
  const info = error.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "butler");
  return {
    code: Code[error.code],
    reason: info?.reason ?? "",
    message: error.rawMessage,
    metadata: info?.metadata ?? {},
  };
}
