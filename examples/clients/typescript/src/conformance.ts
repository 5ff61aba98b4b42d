// SPDX-License-Identifier: BSD-3-Clause

/** Command "conformance FILE ADDRESS": does what a file of examples/conformance says. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

import { datasetEventKindToJSON } from "../build/api/butler_api/v1/event_service.js";
import { Client, type Filter, checksum } from "./client.js";
import { optionsFromEnvironment } from "./connect.js";
import { problemOf } from "./errors.js";
import { type Row, idsOf } from "./values.js";

/** What JSON holds; the arguments of each operation are known from examples/conformance/README.md. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Json = any;

/** What a step gave, and what of it can be saved. */
interface Outcome {
  given: Json;
  save?: string;
}

const OPERATIONS: Record<string, (client: Client, step: Json) => Promise<Outcome>> = {
  checksum: async (_, step) => ({ given: { crc32c: checksum(contentOf(step)) } }),

  position: async (client) => ({ given: {}, save: (await client.position()).toString("base64") }),

  put: async (client, step) => {
    const placement = {
      run: step.run,
      datasetType: step.dataset_type,
      storageClass: step.storage_class,
      dataId: integers(step.data_id),
      formatter: step.formatter,
      extension: step.extension,
    };
    const { id, receipt } = await client.put(placement, contentOf(step));
    return { given: { size: receipt.size, checksum: receipt.checksum }, save: id };
  },

  find: async (client, step) => {
    const found = await client.find(step.dataset_type, integers(step.data_id), step.collections);
    const { id = null, run, dataId, record } = found ?? {};
    return { given: { id, run, data_id: dataId, size: record?.size } };
  },

  get: async (client, step) => {
    const found = await client.find(step.dataset_type, integers(step.data_id), step.collections);
    if (found === undefined) {
      throw new Error("there is no such dataset to get");
    }
    const pieces: Buffer[] = [];
    for await (const piece of client.read(found, BigInt(step.offset ?? 0), BigInt(step.limit ?? 0))) {
      pieces.push(piece);
    }
    const content = Buffer.concat(pieces);
    const sha256 = createHash("sha256").update(content).digest("hex");
    return { given: { size: content.length, sha256, text: content.length <= 1000 ? content.toString() : undefined } };
  },

  query_datasets: (client, step) =>
    collect(client.queryDatasets(step.dataset_type, step.collections, filterOf(step))),

  query_data_ids: (client, step) => collect(client.queryDataIds(step.dimensions, filterOf(step))),

  prune: async (client, step) => {
    const { datasets, artifacts, size } = await client.prune(step.ids);
    return { given: { datasets, artifacts, size } };
  },

  watch: async (client, step) => {
    const events: Json[] = [];
    for await (const { event } of client.watch(Buffer.from(step.from, "base64"), step.dataset_types)) {
      const next = {
        kind: datasetEventKindToJSON(event.kind).replace("DATASET_EVENT_KIND_", ""),
        dataset_type: event.datasetType,
        run: event.run,
        ids: idsOf(event.datasetIds),
      };
      // Each comes at least once, so it may come again.
      if (!isDeepStrictEqual(events.at(-1), next)) {
        events.push(next);
      }
      if (events.length === step.events) {
        break;
      }
    }
    return { given: { events } };
  },
};

/** Does the steps of a file; throws at the first that gives something else than it is to. */
async function conform(client: Client, file: string): Promise<void> {
  const saved = new Map<string, string>();
  for (const raw of JSON.parse(readFileSync(file, "utf8")).steps) {
    let text = JSON.stringify(raw);
    for (const [name, value] of saved) {
      text = text.replaceAll(`"$${name}"`, () => `"${value}"`);
    }
    const step = JSON.parse(text);
    const wanted = step.expect_error ? { error: step.expect_error } : step.expect;
    const { given, save } = await outcomeOf(client, step);
    const seen = plainJson(given);
    if (!matches(wanted, seen)) {
      throw new Error(`${step.name}: gave ${JSON.stringify(seen)}, not ${JSON.stringify(wanted)}`);
    }
    if (step.save !== undefined) {
      saved.set(step.save, save ?? "");
    }
    console.log(`ok ${step.name}`);
  }
}

async function outcomeOf(client: Client, step: Json): Promise<Outcome> {
  const operation = OPERATIONS[step.do];
  if (operation === undefined) {
    throw new Error(`this client does not know how to do ${step.do}`);
  }
  try {
    return await operation(client, step.with);
  } catch (error) {
    const problem = problemOf(error);
    if (problem === undefined) {
      throw error;
    }
    return { given: { error: problem } };
  }
}

async function collect(pages: AsyncIterable<Row[]>): Promise<Outcome> {
  const sizes: number[] = [];
  const rows: Row[] = [];
  for await (const page of pages) {
    sizes.push(page.length);
    rows.push(...page);
  }
  return { given: { pages: sizes, rows } };
}

function contentOf(step: Json): Buffer {
  const { text, size } = step.content;
  return size === undefined ? Buffer.from(text) : Buffer.alloc(size, text);
}

function filterOf(step: Json): Filter {
  return { where: step.where, bind: integers(step.bind), orderBy: step.order_by, pageSize: step.page_size };
}

/** Returns values with whole numbers as bigint, which is what data IDs have. */
function integers(values: Json): Json {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, Number.isInteger(value) ? BigInt(value as number) : value]),
  );
}

/** Returns what a value is in JSON; integers beyond 2^53 are not in these files. */
function plainJson(value: Json): Json {
  return JSON.parse(
    JSON.stringify(value, (_, each) =>
      typeof each === "bigint" ? Number(each) : each instanceof Map ? Object.fromEntries(each) : each,
    ),
  );
}

/** Tells whether what was given has all that is wanted: of objects only the members that are named. */
function matches(wanted: Json, given: Json): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(given) && wanted.length === given.length && wanted.every((each, i) => matches(each, given[i]))
    );
  }
  if (typeof wanted === "object" && wanted !== null) {
    return Object.entries(wanted).every(([name, each]) => name in (given ?? {}) && matches(each, given[name]));
  }
  return wanted === given;
}

async function main([command, file, address]: string[]): Promise<void> {
  if (command !== "conformance" || file === undefined || address === undefined) {
    throw new Error("usage: conformance FILE ADDRESS");
  }
  const client = await Client.connect(address, optionsFromEnvironment());
  try {
    await conform(client, file);
  } finally {
    client.close();
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
