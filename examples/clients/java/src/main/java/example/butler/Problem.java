// SPDX-License-Identifier: BSD-3-Clause
package example.butler;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import com.google.rpc.Status;
import io.grpc.protobuf.StatusProto;
import java.util.Map;
import java.util.Optional;

/**
 * What a service said of a call that failed. Decide by its reason, never by the message.
 *
 * @param code the canonical code, such as {@code NOT_FOUND}
 * @param reason one of the table in docs/protocol.md, such as {@code MISSING_COLLECTION}
 * @param metadata what the error is about
 */
record Problem(String code, String reason, Map<String, String> metadata) {
  /** Returns what a service said; an error without ErrorInfo comes from the network or what lies between. */
  static Optional<Problem> of(Throwable error) {
    Status status = StatusProto.fromThrowable(error);
    if (status == null) {
      return Optional.empty();
    }
    for (Any detail : status.getDetailsList()) {
      try {
        if (detail.is(ErrorInfo.class) && detail.unpack(ErrorInfo.class).getDomain().equals("butler")) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          String code = io.grpc.Status.fromCodeValue(status.getCode()).getCode().name();
          return Optional.of(new Problem(code, info.getReason(), info.getMetadataMap()));
        }
      } catch (InvalidProtocolBufferException broken) {
        return Optional.empty();
      }
    }
    return Optional.empty();
  }
}
