// SPDX-License-Identifier: BSD-3-Clause

/** A small client of Butler over gRPC, made of generated stubs. */

import { createHash } from "node:crypto";

import { Crc32c } from "@aws-crypto/crc32c";
import { v4, v7 } from "uuid";

import {
  type BeginPutResponse,
  DatasetServiceClient,
  type FindDatasetsResponse,
  PutBatch,
} from "../build/api/butler_api/v1/dataset_service.js";
import {
  DatastoreServiceClient,
  type ReadResponse,
  WriteRequest,
  type WriteResponse,
} from "../build/api/butler_api/v1/datastore_service.js";
import { DatasetEvent, EventServiceClient, type WatchDatasetsResponse } from "../build/api/butler_api/v1/event_service.js";
import { ArtifactRecord, type Receipt } from "../build/api/butler_api/v1/models.js";
import { type Page, type Paging, QueryFilter, QueryServiceClient } from "../build/api/butler_api/v1/query_service.js";
import { RemovalServiceClient, type RemovalSummary } from "../build/api/butler_api/v1/removal_service.js";
import { type GetRepositoryResponse, RepositoryServiceClient } from "../build/api/butler_api/v1/repository_service.js";
import { CHANNEL_OPTIONS, type Options, call, credentialsFor } from "./connect.js";
import { DamagedError, problemOf } from "./errors.js";
import { type DataId, type Row, type Scalar, bound, bytesOf, idsOf, plain, rowsOf, tableOf } from "./values.js";

/** What is put, and where. */
export interface Placement {
  run: string;
  datasetType: string;
  storageClass: string;
  dataId: DataId;
  /** Label by which readers know how to decode the bytes, such as "bytes" or "json". */
  formatter: string;
  /** End of the file's name, such as ".bin". */
  extension: string;
}

/** A dataset that was found, with its artifact. */
export interface Dataset {
  id: string;
  run: string;
  dataId: Record<string, Scalar | null>;
  /** Size, checksum and format; undefined if nothing is stored. */
  record: ArtifactRecord | undefined;
  grant: Buffer;
}

/** Restricts and orders what a query gives. */
export interface Filter {
  /** An expression of docs/reference/expressions.md. */
  where?: string;
  bind?: Record<string, bigint | number | string>;
  /** Names, with "-" in front for descending. */
  orderBy?: string[];
  /** How many rows come at a time; 0 leaves it to the service. */
  pageSize?: number;
}

/** Returns the CRC-32C by which the bytes of a chunk are checked. */
export function checksum(content: Uint8Array): number {
  return new Crc32c().update(content).digest();
}

/** A connection to one repository. */
export class Client {
  private constructor(
    private readonly repository: string,
    private readonly chunkBytes: number,
    private readonly datasets: DatasetServiceClient,
    private readonly queries: QueryServiceClient,
    private readonly removals: RemovalServiceClient,
    private readonly events: EventServiceClient,
    private readonly datastore: DatastoreServiceClient,
  ) {}

  /** Opens the repository of an address "grpc://host:port/repository", or grpcs:// for TLS. */
  static async connect(address: string, options: Options): Promise<Client> {
    const [, scheme, target, repository] = /^(grpcs?):\/\/([^/]+)\/(.+)$/.exec(address) ?? [];
    if (target === undefined || repository === undefined) {
      throw new Error(`${address} is not grpc://host:port/repository, nor grpcs://host:port/repository`);
    }
    const encrypted = scheme === "grpcs";
    const trust = credentialsFor(target, encrypted, options);
    const repositories = new RepositoryServiceClient(target, trust, CHANNEL_OPTIONS);
    let found;
    try {
      found = await call<GetRepositoryResponse>((metadata, options, done) =>
        repositories.getRepository({ repository }, metadata, options, done),
      );
    } finally {
      repositories.close();
    }
    // A datastore service on the host of the registry service is named by its port alone. It is spoken to as the registry
    // is, whatever the registry says.
    const host = target.slice(0, target.lastIndexOf(":"));
    const endpoint = found.datastoreEndpoint.startsWith(":") ? host + found.datastoreEndpoint : found.datastoreEndpoint;
    return new Client(
      repository,
      found.limits?.chunkBytes ?? 0,
      new DatasetServiceClient(target, trust, CHANNEL_OPTIONS),
      new QueryServiceClient(target, trust, CHANNEL_OPTIONS),
      new RemovalServiceClient(target, trust, CHANNEL_OPTIONS),
      new EventServiceClient(target, trust, CHANNEL_OPTIONS),
      new DatastoreServiceClient(endpoint, credentialsFor(endpoint, encrypted, options), CHANNEL_OPTIONS),
    );
  }

  close(): void {
    for (const stub of [this.datasets, this.queries, this.removals, this.events, this.datastore]) {
      stub.close();
    }
  }

  /** Stores a dataset of one artifact: everybody sees it afterwards, or nobody ever does. */
  async put(what: Placement, content: Buffer): Promise<{ id: string; receipt: Receipt }> {
    const id = v7();
    const grant = await this.beginPut(id, what);
    try {
      const receipt = await this.write(grant, content);
      const request = { ...this.mutation(), datasetIds: [bytesOf(id)], receipts: [receipt.token] };
      await call((metadata, options, done) => this.datasets.commitPut(request, metadata, options, done));
      return { id, receipt };
    } catch (error) {
      // Only what is known to have failed is given up. Otherwise the intent's lease ends, and the datastore cleans up.
      if (problemOf(error)) {
        await this.abortPut(id);
      }
      throw error;
    }
  }

  /** Returns the dataset that is in the first of the collections that has one. */
  async find(datasetType: string, dataId: DataId, collections: string[]): Promise<Dataset | undefined> {
    const request = {
      repository: this.repository,
      datasetType,
      dataIds: tableOf(dataId),
      collections,
      timespan: undefined,
      wantArtifacts: true,
    };
    const found = await call<FindDatasetsResponse>((metadata, options, done) =>
      this.datasets.findDatasets(request, metadata, options, done),
    );
    const entry = found.datasets[0];
    if (entry?.dataset === undefined) {
      return undefined;
    }
    if (entry.artifacts.length > 1) {
      throw new Error(`it is stored in ${entry.artifacts.length} parts, which this client does not put together`);
    }
    const values = entry.dataset.dataId;
    return {
      id: idsOf(entry.dataset.id)[0] ?? "",
      run: entry.dataset.run,
      dataId: Object.fromEntries((found.datasetType?.dimensions ?? []).map((name, i) => [name, plain(values[i])])),
      record: entry.artifacts[0]?.record,
      grant: entry.artifacts[0]?.readGrant ?? Buffer.alloc(0),
    };
  }

  /**
   * Gives the bytes of a dataset piece by piece: from an offset on, and at most limit of them, 0 for all. Each chunk is
   * checked, and if all was read, the checksum of the whole.
   */
  async *read(dataset: Dataset, offset = 0n, limit = 0n): AsyncGenerator<Buffer> {
    const stream = this.datastore.read({ grant: dataset.grant, offset, limit, continued: false });
    const digest = createHash("sha256");
    try {
      for await (const { chunk } of stream as AsyncIterable<ReadResponse>) {
        if (chunk === undefined || checksum(chunk.content) !== chunk.crc32c) {
          throw new DamagedError("a chunk has another checksum than was sent with it");
        }
        digest.update(chunk.content);
        yield chunk.content;
      }
    } finally {
      // A reader that goes away early ends the stream.
      stream.cancel();
    }
    if (offset === 0n && limit === 0n && `sha256:${digest.digest("hex")}` !== dataset.record?.checksum) {
      throw new DamagedError("the bytes have another checksum than was recorded");
    }
  }

  /** Gives datasets page by page. */
  queryDatasets(datasetType: string, collections: string[], filter: Filter): AsyncGenerator<Row[]> {
    const shared = { repository: this.repository, datasetType, collections, findFirst: false, dataId: {} };
    return this.pages(filter, (paging) => {
      const request = { ...shared, paging, filter: messageOf(filter), dimensions: [], datasetFields: [] };
      return call((metadata, options, done) => this.queries.queryDatasets(request, metadata, options, done));
    });
  }

  /** Gives data IDs page by page. */
  queryDataIds(dimensions: string[], filter: Filter): AsyncGenerator<Row[]> {
    return this.pages(filter, (paging) => {
      const request = { repository: this.repository, dimensions, dataId: {}, joined: [], paging, filter: messageOf(filter) };
      return call((metadata, options, done) => this.queries.queryDataIds(request, metadata, options, done));
    });
  }

  /** Returns the position after the newest event, to watch from. */
  async position(): Promise<Buffer> {
    const request = { repository: this.repository };
    const answer = await call<{ position: Buffer }>((metadata, options, done) =>
      this.events.getPosition(request, metadata, options, done),
    );
    return answer.position;
  }

  /** Gives events after a position as they happen, each at least once, with the position to go on from. */
  async *watch(position: Buffer, datasetTypes: string[]): AsyncGenerator<{ event: DatasetEvent; position: Buffer }> {
    const stream = this.events.watchDatasets({ repository: this.repository, position, datasetTypes, runs: [] });
    try {
      for await (const message of stream as AsyncIterable<WatchDatasetsResponse>) {
        if (message.event !== undefined) {
          yield { event: message.event, position: message.position };
        }
      }
    } finally {
      // The caller may stop; that the stream was cancelled is then no error of anybody's.
      stream.on("error", () => undefined);
      stream.cancel();
    }
  }

  /** Removes datasets; their artifacts go to the trash, which the datastore empties. Unknown ids are ignored. */
  async prune(ids: string[]): Promise<RemovalSummary> {
    const datasetIds = Buffer.concat(ids.map(bytesOf));
    const kind = { unstore: true, purge: true, tags: [], purgeAfterSeconds: 0n, validateOnly: false };
    const answer = await call<{ summary?: RemovalSummary }>((metadata, options, done) =>
      this.removals.pruneDatasets({ ...this.mutation(), datasetIds, ...kind }, metadata, options, done),
    );
    if (answer.summary === undefined) {
      throw new Error("the answer has no summary");
    }
    return answer.summary;
  }

  private mutation(): { repository: string; requestId: Buffer } {
    return { repository: this.repository, requestId: bytesOf(v4()) };
  }

  private async beginPut(id: string, what: Placement): Promise<Buffer> {
    const { formatter, extension, storageClass, datasetType } = what;
    const batch = PutBatch.create({
      datasetType,
      storageClass,
      dataIds: tableOf(what.dataId),
      datasetIds: [bytesOf(id)],
      artifacts: [{ component: "", formatter, extension, storageClass }],
    });
    const request = { ...this.mutation(), run: what.run, batches: [batch], leaseSeconds: 0, validateOnly: false };
    const begun = await call<BeginPutResponse>((metadata, options, done) =>
      this.datasets.beginPut(request, metadata, options, done),
    );
    const grant = begun.batches[0]?.grants[0];
    if (grant === undefined) {
      throw new Error("no leave to write was given");
    }
    return grant.token;
  }

  /** Streams an artifact: a header, chunks, and a trailer without which nothing is kept. */
  private write(grant: Buffer, content: Buffer): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      const stream = this.datastore.write((error: Error | null, answer: WriteResponse) =>
        error || answer.receipt === undefined ? reject(error ?? new Error("no receipt")) : resolve(answer.receipt),
      );
      // What is wrong comes with the answer.
      stream.on("error", () => undefined);
      void (async () => {
        for (const part of partsOf(grant, content, this.chunkBytes)) {
          // A stream that is full says when it has room; one that the service ended never will.
          if (!stream.write(part) && !stream.destroyed) {
            await new Promise((ready) => stream.once("drain", ready).once("close", ready).once("error", ready));
          }
        }
        stream.end();
      })();
    });
  }

  private async abortPut(id: string): Promise<void> {
    const datasetIds = [bytesOf(id)];
    const aborted = await call<{ discardGrants: Buffer[] }>((metadata, options, done) =>
      this.datasets.abortPut({ ...this.mutation(), datasetIds }, metadata, options, done),
    );
    await call((metadata, options, done) =>
      this.datastore.discard({ grants: aborted.discardGrants }, metadata, options, done),
    );
    await call((metadata, options, done) =>
      this.datasets.finishAbort({ ...this.mutation(), datasetIds }, metadata, options, done),
    );
  }

  /** Asks for one page after the other, until one has no token for the next. */
  private async *pages(
    filter: Filter,
    ask: (paging: Paging) => Promise<{ page?: Page }>,
  ): AsyncGenerator<Row[]> {
    let pageToken: Buffer = Buffer.alloc(0);
    do {
      const { page } = await ask({ pageSize: filter.pageSize ?? 0, pageToken });
      if (page?.rows !== undefined) {
        yield rowsOf(page.rows);
      }
      pageToken = page?.nextPageToken ?? Buffer.alloc(0);
    } while (pageToken.length > 0);
  }
}

function* partsOf(grant: Buffer, content: Buffer, chunkBytes: number): Generator<WriteRequest> {
  yield { part: { $case: "header", value: { grant, offset: 0n } } };
  for (let start = 0; start < content.length; start += chunkBytes) {
    const piece = content.subarray(start, start + chunkBytes);
    yield { part: { $case: "chunk", value: { content: piece, crc32c: checksum(piece) } } };
  }
  yield { part: { $case: "trailer", value: { size: BigInt(content.length) } } };
}

function messageOf(filter: Filter): QueryFilter {
  const bind = Object.fromEntries(Object.entries(filter.bind ?? {}).map(([name, value]) => [name, bound(value)]));
  return QueryFilter.create({ where: filter.where ?? "", orderBy: filter.orderBy ?? [], bind });
}
