// SPDX-License-Identifier: BSD-3-Clause
package example.butler;

import butler_api.v1.EventServiceOuterClass.DatasetEvent;
import butler_api.v1.QueryServiceOuterClass.QueryFilter;
import butler_api.v1.RemovalServiceOuterClass.RemovalSummary;
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.ByteString;
import io.grpc.StatusException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.IntStream;

/** Command {@code conformance FILE ADDRESS}: does what a file of examples/conformance says. */
public final class Conformance {
  private static final Gson GSON = new GsonBuilder().serializeNulls().create();

  /** What a step gave, and what of it can be saved. */
  private record Outcome(Map<String, Object> given, String save) {
    Outcome(Map<String, Object> given) {
      this(given, "");
    }
  }

  private final Client client;

  private Conformance(Client client) {
    this.client = client;
  }

  /** Runs the command line. */
  public static void main(String[] arguments) {
    if (arguments.length != 3 || !arguments[0].equals("conformance")) {
      System.err.println("usage: conformance FILE ADDRESS");
      System.exit(2);
    }
    try (Client client = new Client(arguments[2], Channels.Options.fromEnvironment())) {
      new Conformance(client).conform(Path.of(arguments[1]));
    } catch (Exception error) {
      System.err.println(error.getMessage());
      System.exit(1);
    }
  }

  /** Does the steps of a file; throws at the first that gives something else than it is to. */
  private void conform(Path file) throws IOException, StatusException, InterruptedException {
    Map<String, String> saved = new HashMap<>();
    JsonObject script = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
    for (JsonElement raw : script.getAsJsonArray("steps")) {
      String text = raw.toString();
      for (Map.Entry<String, String> each : saved.entrySet()) {
        text = text.replace("\"$" + each.getKey() + "\"", GSON.toJson(each.getValue()));
      }
      JsonObject step = JsonParser.parseString(text).getAsJsonObject();
      String name = step.get("name").getAsString();
      Outcome outcome = outcome(step.get("do").getAsString(), step.getAsJsonObject("with"));
      JsonElement given = GSON.toJsonTree(outcome.given());
      JsonElement wanted = step.get("expect");
      if (step.has("expect_error")) {
        wanted = new JsonObject();
        wanted.getAsJsonObject().add("error", step.get("expect_error"));
      }
      if (!matches(wanted, given)) {
        throw new IllegalStateException(name + ": gave " + given + ", not " + wanted);
      }
      if (step.has("save")) {
        saved.put(step.get("save").getAsString(), outcome.save());
      }
      System.out.println("ok " + name);
    }
  }

  private Outcome outcome(String operation, JsonObject with)
      throws IOException, StatusException, InterruptedException {
    try {
      return switch (operation) {
        case "checksum" -> new Outcome(Map.of("crc32c", Integer.toUnsignedLong(Client.checksum(content(with)))));
        case "position" ->
            new Outcome(Map.of(), Base64.getEncoder().encodeToString(client.position().toByteArray()));
        case "put" -> put(with);
        case "find" -> find(with);
        case "get" -> get(with);
        case "query_datasets", "query_data_ids" -> query(operation, with);
        case "prune" -> prune(with);
        case "watch" -> watch(with);
        default -> throw new IllegalArgumentException("this client does not know how to do " + operation);
      };
    } catch (StatusException error) {
      Problem problem = Problem.of(error).orElseThrow(() -> error);
      return new Outcome(Map.of("error", problem));
    }
  }

  private Outcome put(JsonObject with) throws StatusException, InterruptedException {
    Client.Stored stored =
        client.put(
            new Client.Placement(
                with.get("run").getAsString(),
                with.get("dataset_type").getAsString(),
                with.get("storage_class").getAsString(),
                values(with.getAsJsonObject("data_id")),
                with.get("formatter").getAsString(),
                with.get("extension").getAsString()),
            content(with));
    return new Outcome(
        Map.of("size", stored.receipt().getSize(), "checksum", stored.receipt().getChecksum()),
        stored.id().toString());
  }

  private Client.Dataset found(JsonObject with) throws StatusException {
    return client.find(
        with.get("dataset_type").getAsString(),
        values(with.getAsJsonObject("data_id")),
        strings(with, "collections"));
  }

  private Outcome find(JsonObject with) throws StatusException {
    Client.Dataset found = found(with);
    Map<String, Object> given = new LinkedHashMap<>();
    given.put("id", found == null ? null : found.id().toString());
    if (found != null) {
      given.put("run", found.run());
      given.put("data_id", found.dataId());
      given.put("size", found.record().getSize());
    }
    return new Outcome(given);
  }

  private Outcome get(JsonObject with) throws IOException, StatusException, InterruptedException {
    ByteArrayOutputStream content = new ByteArrayOutputStream();
    long offset = with.has("offset") ? with.get("offset").getAsLong() : 0;
    long limit = with.has("limit") ? with.get("limit").getAsLong() : 0;
    client.read(found(with), offset, limit, content);
    Map<String, Object> given = new LinkedHashMap<>();
    given.put("size", content.size());
    given.put("sha256", HexFormat.of().formatHex(Client.sha256().digest(content.toByteArray())));
    if (content.size() <= 1000) {
      given.put("text", content.toString(StandardCharsets.UTF_8));
    }
    return new Outcome(given);
  }

  private Outcome query(String operation, JsonObject with) throws StatusException {
    QueryFilter.Builder filter =
        QueryFilter.newBuilder()
            .setWhere(with.get("where").getAsString())
            .addAllOrderBy(strings(with, "order_by"));
    values(with.getAsJsonObject("bind")).forEach((name, value) -> filter.putBind(name, Values.bound(value)));
    int pageSize = with.get("page_size").getAsInt();
    List<Integer> pages = new ArrayList<>();
    List<Map<String, Object>> rows = new ArrayList<>();
    if (operation.equals("query_datasets")) {
      client.queryDatasets(
          with.get("dataset_type").getAsString(),
          strings(with, "collections"),
          filter.build(),
          pageSize,
          page -> {
            pages.add(page.size());
            rows.addAll(page);
          });
    } else {
      client.queryDataIds(
          strings(with, "dimensions"),
          filter.build(),
          pageSize,
          page -> {
            pages.add(page.size());
            rows.addAll(page);
          });
    }
    return new Outcome(Map.of("pages", pages, "rows", rows));
  }

  private Outcome prune(JsonObject with) throws StatusException {
    RemovalSummary summary = client.prune(strings(with, "ids").stream().map(UUID::fromString).toList());
    return new Outcome(
        Map.of(
            "datasets", summary.getDatasetsMap(), "artifacts", summary.getArtifacts(), "size", summary.getSize()));
  }

  private Outcome watch(JsonObject with) throws StatusException, InterruptedException {
    List<Map<String, Object>> events = new ArrayList<>();
    int wanted = with.get("events").getAsInt();
    client.watch(
        ByteString.copyFrom(Base64.getDecoder().decode(with.get("from").getAsString())),
        strings(with, "dataset_types"),
        event -> {
          Map<String, Object> next = described(event);
          // Each comes at least once, so it may come again.
          if (events.isEmpty() || !events.get(events.size() - 1).equals(next)) {
            events.add(next);
          }
          return events.size() < wanted;
        });
    return new Outcome(Map.of("events", events));
  }

  private static Map<String, Object> described(DatasetEvent event) {
    return Map.of(
        "kind", event.getKind().name().replace("DATASET_EVENT_KIND_", ""),
        "dataset_type", event.getDatasetType(),
        "run", event.getRun(),
        "ids", Values.ids(event.getDatasetIds()).stream().map(UUID::toString).toList());
  }

  private static ByteString content(JsonObject with) {
    JsonObject described = with.getAsJsonObject("content");
    byte[] text = described.get("text").getAsString().getBytes(StandardCharsets.UTF_8);
    byte[] content = new byte[described.has("size") ? described.get("size").getAsInt() : text.length];
    for (int i = 0; i < content.length; i++) {
      content[i] = text[i % text.length];
    }
    return ByteString.copyFrom(content);
  }

  private static List<String> strings(JsonObject with, String name) {
    return with.getAsJsonArray(name).asList().stream().map(JsonElement::getAsString).toList();
  }

  /** Returns values as data IDs and expressions have them: Long, Double or String. */
  private static Map<String, Object> values(JsonObject object) {
    Map<String, Object> values = new LinkedHashMap<>();
    object.asMap()
        .forEach(
            (name, each) -> {
              JsonPrimitive value = each.getAsJsonPrimitive();
              boolean whole = value.isNumber() && value.getAsDouble() % 1 == 0;
              values.put(
                  name,
                  whole ? (Object) value.getAsLong() : value.isNumber() ? value.getAsDouble() : value.getAsString());
            });
    return values;
  }

  /** Tells whether what was given has all that is wanted: of objects only the members that are named. */
  private static boolean matches(JsonElement wanted, JsonElement given) {
    if (wanted instanceof JsonObject members) {
      return given instanceof JsonObject has
          && members.entrySet().stream()
              .allMatch(each -> has.has(each.getKey()) && matches(each.getValue(), has.get(each.getKey())));
    }
    if (wanted instanceof JsonArray list) {
      return given instanceof JsonArray has
          && list.size() == has.size()
          && IntStream.range(0, list.size()).allMatch(i -> matches(list.get(i), has.get(i)));
    }
    return wanted.equals(given);
  }
}
