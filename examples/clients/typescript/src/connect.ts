// SPDX-License-Identifier: BSD-3-Clause

/** Channels and calls: TLS, tokens, limits, retries, deadlines. */

import { readFileSync } from "node:fs";

import { type CallOptions, type ChannelCredentials, Metadata, type ServiceError, credentials } from "@grpc/grpc-js";

/** How long one call may take that is no stream, in milliseconds. */
const CALL_MILLISECONDS = 60_000;

/** Longer than most libraries receive unless told; a full batch is longer, too. */
const LARGEST_MESSAGE = 16 << 20;

export const CHANNEL_OPTIONS = {
  "grpc.max_receive_message_length": LARGEST_MESSAGE,
  "grpc.max_send_message_length": LARGEST_MESSAGE,
  // Repeats are harmless: each mutation carries a request_id, or ids that the client made.
  "grpc.service_config": JSON.stringify({
    methodConfig: [
      {
        name: [{}],
        retryPolicy: {
          maxAttempts: 5,
          initialBackoff: "0.1s",
          maxBackoff: "5s",
          backoffMultiplier: 2,
          retryableStatusCodes: ["UNAVAILABLE"],
        },
      },
    ],
  }),
};

/** Whom to believe, and who calls. */
export interface Options {
  /** File of the authorities to believe; those of the system if absent. */
  caFile?: string;
  /** File of a bearer token; none is sent if absent. */
  tokenFile?: string;
  /** Hosts that may be sent the token, and nobody else: a registry could name any datastore service. */
  tokenHosts: string[];
}

/** Reads the variables that the Python client reads. */
export function optionsFromEnvironment(): Options {
  const { BUTLER_TLS_CA, BUTLER_TOKEN_FILE, BUTLER_TOKEN_HOSTS } = process.env;
  return { caFile: BUTLER_TLS_CA, tokenFile: BUTLER_TOKEN_FILE, tokenHosts: (BUTLER_TOKEN_HOSTS ?? "").split(",") };
}

/** Returns the credentials of a channel; a token goes over TLS only. */
export function credentialsFor(target: string, encrypted: boolean, options: Options): ChannelCredentials {
  if (!encrypted) {
    return credentials.createInsecure();
  }
  const channel = credentials.createSsl(options.caFile ? readFileSync(options.caFile) : null);
  const { tokenFile } = options;
  const host = target.slice(0, target.lastIndexOf(":"));
  if (!tokenFile || !options.tokenHosts.includes(host)) {
    return channel;
  }
  const bearer = credentials.createFromMetadataGenerator((_, done) => {
    // Read for each call, since tokens are renewed.
    const metadata = new Metadata();
    try {
      metadata.set("authorization", `Bearer ${readFileSync(tokenFile, "utf8").trim()}`);
      done(null, metadata);
    } catch (error) {
      done(error as Error);
    }
  });
  return credentials.combineChannelCredentials(channel, bearer);
}

type Callback<Answer> = (error: ServiceError | null, answer: Answer) => void;

/** Makes a call with a deadline, and gives its answer. */
export function call<Answer>(
  make: (metadata: Metadata, options: Partial<CallOptions>, done: Callback<Answer>) => unknown,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + CALL_MILLISECONDS };
    make(new Metadata(), options, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}
