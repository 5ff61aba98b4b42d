// SPDX-License-Identifier: BSD-3-Clause
package example.butler;

import butler_api.v1.DatasetServiceGrpc;
import butler_api.v1.DatasetServiceOuterClass.AbortPutRequest;
import butler_api.v1.DatasetServiceOuterClass.BeginPutRequest;
import butler_api.v1.DatasetServiceOuterClass.CommitPutRequest;
import butler_api.v1.DatasetServiceOuterClass.FindDatasetsRequest;
import butler_api.v1.DatasetServiceOuterClass.FindDatasetsResponse;
import butler_api.v1.DatasetServiceOuterClass.FinishAbortRequest;
import butler_api.v1.DatasetServiceOuterClass.FoundDataset;
import butler_api.v1.DatasetServiceOuterClass.PutBatch;
import butler_api.v1.DatastoreServiceGrpc;
import butler_api.v1.DatastoreServiceOuterClass.Chunk;
import butler_api.v1.DatastoreServiceOuterClass.DiscardRequest;
import butler_api.v1.DatastoreServiceOuterClass.ReadRequest;
import butler_api.v1.DatastoreServiceOuterClass.ReadResponse;
import butler_api.v1.DatastoreServiceOuterClass.WriteHeader;
import butler_api.v1.DatastoreServiceOuterClass.WriteRequest;
import butler_api.v1.DatastoreServiceOuterClass.WriteResponse;
import butler_api.v1.DatastoreServiceOuterClass.WriteTrailer;
import butler_api.v1.EventServiceGrpc;
import butler_api.v1.EventServiceOuterClass.DatasetEvent;
import butler_api.v1.EventServiceOuterClass.GetPositionRequest;
import butler_api.v1.EventServiceOuterClass.WatchDatasetsRequest;
import butler_api.v1.EventServiceOuterClass.WatchDatasetsResponse;
import butler_api.v1.Models.ArtifactLayout;
import butler_api.v1.Models.ArtifactRecord;
import butler_api.v1.Models.Receipt;
import butler_api.v1.QueryServiceGrpc;
import butler_api.v1.QueryServiceOuterClass.Page;
import butler_api.v1.QueryServiceOuterClass.Paging;
import butler_api.v1.QueryServiceOuterClass.QueryDataIdsRequest;
import butler_api.v1.QueryServiceOuterClass.QueryDatasetsRequest;
import butler_api.v1.QueryServiceOuterClass.QueryFilter;
import butler_api.v1.RemovalServiceGrpc;
import butler_api.v1.RemovalServiceOuterClass.PruneDatasetsRequest;
import butler_api.v1.RemovalServiceOuterClass.RemovalSummary;
import butler_api.v1.RepositoryServiceGrpc;
import butler_api.v1.RepositoryServiceOuterClass.GetRepositoryRequest;
import butler_api.v1.RepositoryServiceOuterClass.GetRepositoryResponse;
import com.google.protobuf.ByteString;
import io.grpc.ManagedChannel;
import io.grpc.StatusException;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.BlockingClientCall;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.zip.CRC32C;

/** A small client of Butler over gRPC, made of generated stubs; it is connected to one repository. */
final class Client implements AutoCloseable {
  /** What is put, and where; the formatter is the label by which readers know how to decode the bytes. */
  record Placement(
      String run,
      String datasetType,
      String storageClass,
      Map<String, Object> dataId,
      String formatter,
      String extension) {}

  /** A dataset that was found, with its artifact. */
  record Dataset(UUID id, String run, Map<String, Object> dataId, ArtifactRecord record, ByteString grant) {}

  /** Asks for one page of a query. */
  private interface Pages {
    Page ask(Paging paging) throws StatusException;
  }

  private final String repository;
  private final ManagedChannel registry;
  private final ManagedChannel datastore;
  private final int chunkBytes;

  /** Opens the repository of an address {@code grpc://host:port/repository}, or {@code grpcs://} for TLS. */
  Client(String address, Channels.Options options) throws IOException, StatusException {
    URI parts = URI.create(address);
    boolean encrypted = "grpcs".equals(parts.getScheme());
    repository = parts.getPath().substring(1);
    registry = Channels.open(parts.getAuthority(), encrypted, options);
    GetRepositoryResponse found;
    try {
      found =
          timed(RepositoryServiceGrpc.newBlockingV2Stub(registry))
              .getRepository(GetRepositoryRequest.newBuilder().setRepository(repository).build());
    } catch (StatusException error) {
      registry.shutdownNow();
      throw error;
    }
    chunkBytes = found.getLimits().getChunkBytes();
    // A datastore service on the host of the registry service is named by its port alone. It is spoken to as the
    // registry is, whatever the registry says.
    String endpoint = found.getDatastoreEndpoint();
    datastore = Channels.open(endpoint.startsWith(":") ? parts.getHost() + endpoint : endpoint, encrypted, options);
  }

  @Override
  public void close() {
    datastore.shutdownNow();
    registry.shutdownNow();
  }

  /** Returns the CRC-32C by which the bytes of a chunk are checked. */
  static int checksum(ByteString content) {
    CRC32C sum = new CRC32C();
    sum.update(content.asReadOnlyByteBuffer());
    return (int) sum.getValue();
  }

  /** What a put gives. */
  record Stored(UUID id, Receipt receipt) {}

  /** Stores a dataset of one artifact: everybody sees it afterwards, or nobody ever does. */
  Stored put(Placement what, ByteString content) throws StatusException, InterruptedException {
    UUID id = Values.newDatasetId();
    ByteString grant = beginPut(id, what);
    try {
      Receipt receipt = write(grant, content);
      timed(DatasetServiceGrpc.newBlockingV2Stub(registry))
          .commitPut(
              CommitPutRequest.newBuilder()
                  .setRepository(repository)
                  .setRequestId(Values.newRequest())
                  .addDatasetIds(Values.bytes(id))
                  .addReceipts(receipt.getToken())
                  .build());
      return new Stored(id, receipt);
    } catch (StatusException error) {
      // Only what is known to have failed is given up. Otherwise the lease ends, and the datastore cleans up.
      if (Problem.of(error).isPresent()) {
        abortPut(id);
      }
      throw error;
    }
  }

  private ByteString beginPut(UUID id, Placement what) throws StatusException {
    PutBatch batch =
        PutBatch.newBuilder()
            .setDatasetType(what.datasetType())
            .setStorageClass(what.storageClass())
            .setDataIds(Values.table(what.dataId()))
            .addDatasetIds(Values.bytes(id))
            .addArtifacts(
                ArtifactLayout.newBuilder()
                    .setFormatter(what.formatter())
                    .setExtension(what.extension())
                    .setStorageClass(what.storageClass()))
            .build();
    return timed(DatasetServiceGrpc.newBlockingV2Stub(registry))
        .beginPut(
            BeginPutRequest.newBuilder()
                .setRepository(repository)
                .setRequestId(Values.newRequest())
                .setRun(what.run())
                .addBatches(batch)
                .build())
        .getBatches(0)
        .getGrants(0)
        .getToken();
  }

  /** Streams an artifact: a header, chunks, and a trailer without which nothing is kept. */
  private Receipt write(ByteString grant, ByteString content) throws StatusException, InterruptedException {
    BlockingClientCall<WriteRequest, WriteResponse> stream =
        DatastoreServiceGrpc.newBlockingV2Stub(datastore).write();
    stream.write(WriteRequest.newBuilder().setHeader(WriteHeader.newBuilder().setGrant(grant)).build());
    for (int start = 0; start < content.size(); start += chunkBytes) {
      ByteString piece = content.substring(start, Math.min(start + chunkBytes, content.size()));
      Chunk chunk = Chunk.newBuilder().setContent(piece).setCrc32C(checksum(piece)).build();
      stream.write(WriteRequest.newBuilder().setChunk(chunk).build());
    }
    stream.write(WriteRequest.newBuilder().setTrailer(WriteTrailer.newBuilder().setSize(content.size())).build());
    stream.halfClose();
    return stream.read().getReceipt();
  }

  private void abortPut(UUID id) throws StatusException {
    var datasets = timed(DatasetServiceGrpc.newBlockingV2Stub(registry));
    var aborted =
        datasets.abortPut(
            AbortPutRequest.newBuilder()
                .setRepository(repository)
                .setRequestId(Values.newRequest())
                .addDatasetIds(Values.bytes(id))
                .build());
    timed(DatastoreServiceGrpc.newBlockingV2Stub(datastore))
        .discard(DiscardRequest.newBuilder().addAllGrants(aborted.getDiscardGrantsList()).build());
    datasets.finishAbort(
        FinishAbortRequest.newBuilder()
            .setRepository(repository)
            .setRequestId(Values.newRequest())
            .addDatasetIds(Values.bytes(id))
            .build());
  }

  /** Returns the dataset that is in the first of the collections that has one; null if none has. */
  Dataset find(String datasetType, Map<String, Object> dataId, List<String> collections) throws StatusException {
    FindDatasetsResponse found =
        timed(DatasetServiceGrpc.newBlockingV2Stub(registry))
            .findDatasets(
                FindDatasetsRequest.newBuilder()
                    .setRepository(repository)
                    .setDatasetType(datasetType)
                    .setDataIds(Values.table(dataId))
                    .addAllCollections(collections)
                    .setWantArtifacts(true)
                    .build());
    FoundDataset entry = found.getDatasets(0);
    if (!entry.hasDataset()) {
      return null;
    }
    if (entry.getArtifactsCount() != 1) {
      throw new IllegalStateException("it is stored in parts, or not at all; this client reads whole artifacts");
    }
    Map<String, Object> values = new LinkedHashMap<>();
    for (int i = 0; i < found.getDatasetType().getDimensionsCount(); i++) {
      values.put(found.getDatasetType().getDimensions(i), Values.plain(entry.getDataset().getDataId(i)));
    }
    return new Dataset(
        Values.ids(entry.getDataset().getId()).get(0),
        entry.getDataset().getRun(),
        values,
        entry.getArtifacts(0).getRecord(),
        entry.getArtifacts(0).getReadGrant());
  }

  /**
   * Writes the bytes of a dataset to a stream: from an offset on, and at most limit of them, 0 for all. Each chunk is
   * checked, and if all was read, the checksum of the whole.
   *
   * @throws IOException if the bytes are not those which were stored
   */
  void read(Dataset dataset, long offset, long limit, OutputStream to)
      throws StatusException, InterruptedException, IOException {
    ReadRequest request =
        ReadRequest.newBuilder().setGrant(dataset.grant()).setOffset(offset).setLimit(limit).build();
    MessageDigest digest = sha256();
    BlockingClientCall<?, ReadResponse> stream = DatastoreServiceGrpc.newBlockingV2Stub(datastore).read(request);
    try {
      for (ReadResponse next = stream.read(); next != null; next = stream.read()) {
        ByteString content = next.getChunk().getContent();
        if (checksum(content) != next.getChunk().getCrc32C()) {
          throw new IOException("a chunk has another checksum than was sent with it");
        }
        digest.update(content.asReadOnlyByteBuffer());
        content.writeTo(to);
      }
    } finally {
      // A reader that goes away early ends the stream; after its end this does nothing.
      stream.cancel("no more is wanted", null);
    }
    String found = "sha256:" + HexFormat.of().formatHex(digest.digest());
    if (offset == 0 && limit == 0 && !found.equals(dataset.record().getChecksum())) {
      throw new IOException("the bytes have another checksum than was recorded");
    }
  }

  static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException error) {
      throw new AssertionError("every Java has SHA-256", error);
    }
  }

  /** Calls back with each page of the datasets of a type in collections. */
  void queryDatasets(
      String datasetType,
      List<String> collections,
      QueryFilter filter,
      int pageSize,
      Consumer<List<Map<String, Object>>> each)
      throws StatusException {
    QueryDatasetsRequest request =
        QueryDatasetsRequest.newBuilder()
            .setRepository(repository)
            .setDatasetType(datasetType)
            .addAllCollections(collections)
            .setFilter(filter)
            .build();
    pages(
        paging ->
            timed(QueryServiceGrpc.newBlockingV2Stub(registry))
                .queryDatasets(request.toBuilder().setPaging(paging).build())
                .getPage(),
        pageSize,
        each);
  }

  /** Calls back with each page of the data IDs of some dimensions. */
  void queryDataIds(
      List<String> dimensions, QueryFilter filter, int pageSize, Consumer<List<Map<String, Object>>> each)
      throws StatusException {
    QueryDataIdsRequest request =
        QueryDataIdsRequest.newBuilder()
            .setRepository(repository)
            .addAllDimensions(dimensions)
            .setFilter(filter)
            .build();
    pages(
        paging ->
            timed(QueryServiceGrpc.newBlockingV2Stub(registry))
                .queryDataIds(request.toBuilder().setPaging(paging).build())
                .getPage(),
        pageSize,
        each);
  }

  private static void pages(Pages pages, int size, Consumer<List<Map<String, Object>>> each)
      throws StatusException {
    ByteString token = ByteString.EMPTY;
    do {
      Page page = pages.ask(Paging.newBuilder().setPageSize(size).setPageToken(token).build());
      each.accept(Values.rows(page.getRows()));
      token = page.getNextPageToken();
    } while (!token.isEmpty());
  }

  /** Returns the position after the newest event, to watch from. */
  ByteString position() throws StatusException {
    return timed(EventServiceGrpc.newBlockingV2Stub(registry))
        .getPosition(GetPositionRequest.newBuilder().setRepository(repository).build())
        .getPosition();
  }

  /**
   * Calls back with each event after a position, as it happens, until the callback answers false.
   *
   * @return the position to go on from; each event comes at least once
   */
  ByteString watch(ByteString position, List<String> datasetTypes, Predicate<DatasetEvent> each)
      throws StatusException, InterruptedException {
    BlockingClientCall<?, WatchDatasetsResponse> stream =
        EventServiceGrpc.newBlockingV2Stub(registry)
            .watchDatasets(
                WatchDatasetsRequest.newBuilder()
                    .setRepository(repository)
                    .setPosition(position)
                    .addAllDatasetTypes(datasetTypes)
                    .build());
    try {
      ByteString reached = position;
      for (WatchDatasetsResponse next = stream.read(); next != null; next = stream.read()) {
        reached = next.getPosition();
        if (next.hasEvent() && !each.test(next.getEvent())) {
          break;
        }
      }
      return reached;
    } finally {
      stream.cancel("no more is wanted", null);
    }
  }

  /** Removes datasets; their artifacts go to the trash, which the datastore empties. Unknown ids are ignored. */
  RemovalSummary prune(List<UUID> ids) throws StatusException {
    ByteString joined = ids.stream().map(Values::bytes).reduce(ByteString.EMPTY, ByteString::concat);
    return timed(RemovalServiceGrpc.newBlockingV2Stub(registry))
        .pruneDatasets(
            PruneDatasetsRequest.newBuilder()
                .setRepository(repository)
                .setRequestId(Values.newRequest())
                .setDatasetIds(joined)
                .setUnstore(true)
                .setPurge(true)
                .build())
        .getSummary();
  }

  /** Returns a stub whose calls may take a minute; for all that are no streams. */
  private static <S extends AbstractStub<S>> S timed(S stub) {
    return stub.withDeadlineAfter(1, TimeUnit.MINUTES);
  }
}
