// SPDX-License-Identifier: BSD-3-Clause

/** Looks into a repository over gRPC-Web, in a page or under Node; knows nothing of pages. */

import { type Client, type Interceptor, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { CollectionService } from "../build/api/butler_api/v1/collection_service_pb.js";
import { DatasetService } from "../build/api/butler_api/v1/dataset_service_pb.js";
import { DatasetTypeService } from "../build/api/butler_api/v1/dataset_type_service_pb.js";
import { DatastoreService } from "../build/api/butler_api/v1/datastore_service_pb.js";
import type { Artifact, Collection, DatasetType } from "../build/api/butler_api/v1/models_pb.js";
import { QueryService } from "../build/api/butler_api/v1/query_service_pb.js";
import { RepositoryService } from "../build/api/butler_api/v1/repository_service_pb.js";
import { DamagedError } from "./errors.js";
import { type Row, bytesOf, hex, rowsOf } from "./values.js";

export type { Artifact, Collection, DatasetType };

/** How long one call may take that is no stream, in milliseconds. */
const CALL_MILLISECONDS = 60_000;

/** What a query is about. */
export interface Question {
  datasetType: string;
  /** In search order. */
  collections: string[];
  /** An expression; docs/reference/expressions.md. */
  where?: string;
  pageSize?: number;
}

/** A repository, read through Envoy: both services are at one address. */
export class Butler {
  private readonly repositories: Client<typeof RepositoryService>;
  private readonly collectionCalls: Client<typeof CollectionService>;
  private readonly types: Client<typeof DatasetTypeService>;
  private readonly datasets: Client<typeof DatasetService>;
  private readonly queries: Client<typeof QueryService>;
  private readonly datastore: Client<typeof DatastoreService>;

  /**
   * @param baseUrl Scheme, host and port of web access.
   * @param repository Its name.
   * @param token Returns the bearer token of whoever looks; it is asked for each call, since tokens are renewed.
   */
  constructor(
    baseUrl: string,
    private readonly repository: string,
    token?: () => string,
  ) {
    const bearing: Interceptor = (next) => (request) => {
      const shown = token?.();
      if (shown) {
        request.header.set("authorization", `Bearer ${shown}`);
      }
      return next(request);
    };
    const transport = createGrpcWebTransport({ baseUrl, interceptors: [bearing] });
    this.repositories = createClient(RepositoryService, transport);
    this.collectionCalls = createClient(CollectionService, transport);
    this.types = createClient(DatasetTypeService, transport);
    this.datasets = createClient(DatasetService, transport);
    this.queries = createClient(QueryService, transport);
    this.datastore = createClient(DatastoreService, transport);
  }

  /** Sees that there is such a repository. */
  async connect(): Promise<void> {
    await this.repositories.getRepository({ repository: this.repository }, { timeoutMs: CALL_MILLISECONDS });
  }

  /** Returns all collections, by name. */
  collections(): Promise<Collection[]> {
    return all(async (pageToken) => {
      const request = { repository: this.repository, patterns: ["*"], pageToken };
      const answer = await this.collectionCalls.listCollections(request, { timeoutMs: CALL_MILLISECONDS });
      return { items: answer.collections, next: answer.nextPageToken };
    });
  }

  /** Returns all dataset types, by name. */
  datasetTypes(): Promise<DatasetType[]> {
    return all(async (pageToken) => {
      const request = { repository: this.repository, patterns: ["*"], pageToken };
      const answer = await this.types.listDatasetTypes(request, { timeoutMs: CALL_MILLISECONDS });
      return { items: answer.datasetTypes, next: answer.nextPageToken };
    });
  }

  /** Gives datasets page by page: their columns are id, run and dimensions. */
  async *pages({ datasetType, collections, where = "", pageSize = 0 }: Question): AsyncGenerator<Row[]> {
    let pageToken: Uint8Array = new Uint8Array();
    do {
      const { page } = await this.queries.queryDatasets(
        { repository: this.repository, datasetType, collections, filter: { where }, paging: { pageSize, pageToken } },
        { timeoutMs: CALL_MILLISECONDS },
      );
      if (page?.rows !== undefined) {
        yield rowsOf(page.rows);
      }
      pageToken = page?.nextPageToken ?? new Uint8Array();
    } while (pageToken.length > 0);
  }

  /** Returns the artifacts of a dataset; none if it is gone. Leave to read them lasts for minutes. */
  async artifacts(id: string): Promise<Artifact[]> {
    const request = { repository: this.repository, ids: [bytesOf(id)], wantArtifacts: true };
    const answer = await this.datasets.getDatasets(request, { timeoutMs: CALL_MILLISECONDS });
    return answer.datasets[0]?.artifacts ?? [];
  }

  /**
   * Returns the bytes of an artifact.
   *
   * @param progress Told how many have come.
   * @throws DamagedError If they are not those which were stored.
   */
  async read(artifact: Artifact, progress?: (bytes: number) => void): Promise<Uint8Array<ArrayBuffer>> {
    const { size = 0n, checksum = "" } = artifact.record ?? {};
    const content = new Uint8Array(Number(size));
    let length = 0;
    for await (const { chunk } of this.datastore.read({ grant: artifact.readGrant })) {
      const piece = chunk?.content ?? new Uint8Array();
      if (length + piece.length > content.length) {
        throw new DamagedError(`more came than the ${size} bytes that are recorded`);
      }
      content.set(piece, length);
      length += piece.length;
      progress?.(length);
    }
    const found = `sha256:${hex(new Uint8Array(await crypto.subtle.digest("SHA-256", content)))}`;
    if (length !== content.length || found !== checksum) {
      throw new DamagedError(`${length} bytes with ${found} came, and ${size} with ${checksum} are recorded`);
    }
    return content;
  }
}

/** Asks for one page after the other, until one has no token for the next. */
async function all<Item>(
  ask: (pageToken: Uint8Array) => Promise<{ items: Item[]; next: Uint8Array }>,
): Promise<Item[]> {
  const found: Item[] = [];
  let token: Uint8Array = new Uint8Array();
  do {
    const { items, next } = await ask(token);
    found.push(...items);
    token = next;
  } while (token.length > 0);
  return found;
}
