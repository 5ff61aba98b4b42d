// SPDX-License-Identifier: BSD-3-Clause
package example.butler;

import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.SecurityLevel;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;

/** Opens channels: TLS, tokens, limits, retries. */
final class Channels {
  /** Longer than most libraries receive unless told; a full batch is longer, too. */
  private static final int LARGEST_MESSAGE = 16 << 20;

  /** Repeats are harmless: each mutation carries a request_id, or ids that the client made. */
  private static final Map<String, ?> RETRIES =
      Map.of(
          "methodConfig",
          List.of(
              Map.of(
                  "name",
                  List.of(Map.of()),
                  "retryPolicy",
                  Map.of(
                      "maxAttempts", 5.0,
                      "initialBackoff", "0.1s",
                      "maxBackoff", "5s",
                      "backoffMultiplier", 2.0,
                      "retryableStatusCodes", List.of("UNAVAILABLE")))));

  private Channels() {}

  /** Whom to believe and who calls; files are null if there are none. The token is sent to the hosts only. */
  record Options(Path caFile, Path tokenFile, List<String> tokenHosts) {
    /** Reads the variables that the Python client reads. */
    static Options fromEnvironment() {
      Map<String, String> variables = System.getenv();
      String hosts = variables.getOrDefault("BUTLER_TOKEN_HOSTS", "");
      return new Options(
          path(variables.get("BUTLER_TLS_CA")), path(variables.get("BUTLER_TOKEN_FILE")), List.of(hosts.split(",")));
    }

    private static Path path(String name) {
      return name == null || name.isEmpty() ? null : Path.of(name);
    }
  }

  /** Opens a channel to a {@code host:port}; a token goes over TLS only. */
  static ManagedChannel open(String target, boolean encrypted, Options options) throws IOException {
    ChannelCredentials credentials = InsecureChannelCredentials.create();
    if (encrypted) {
      TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder();
      if (options.caFile() != null) {
        tls.trustManager(options.caFile().toFile());
      }
      credentials = tls.build();
      String host = target.substring(0, target.lastIndexOf(':'));
      // A registry could name any datastore service, which is not to get the token.
      if (options.tokenFile() != null && options.tokenHosts().contains(host)) {
        credentials = CompositeChannelCredentials.create(credentials, new TokenFile(options.tokenFile()));
      }
    }
    return Grpc.newChannelBuilder(target, credentials)
        .defaultServiceConfig(RETRIES)
        .maxInboundMessageSize(LARGEST_MESSAGE)
        .build();
  }

  /** A token in a file, which is read for each call, since tokens are renewed. */
  private static final class TokenFile extends CallCredentials {
    private static final Metadata.Key<String> AUTHORIZATION =
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
    private final Path file;

    TokenFile(Path file) {
      this.file = file;
    }

    @Override
    public void applyRequestMetadata(RequestInfo request, Executor executor, MetadataApplier applier) {
      if (request.getSecurityLevel() != SecurityLevel.PRIVACY_AND_INTEGRITY) {
        applier.fail(Status.UNAUTHENTICATED.withDescription("a token is not sent unencrypted"));
        return;
      }
      executor.execute(
          () -> {
            try {
              Metadata headers = new Metadata();
              headers.put(AUTHORIZATION, "Bearer " + Files.readString(file).strip());
              applier.apply(headers);
            } catch (IOException error) {
              applier.fail(Status.UNAUTHENTICATED.withCause(error).withDescription("no token in " + file));
            }
          });
    }
  }
}
