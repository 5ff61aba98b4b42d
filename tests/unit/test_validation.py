# SPDX-License-Identifier: BSD-3-Clause
"""The rules beside the fields of requests in the protos, and how services apply them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import protovalidate
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from buf.validate import validate_pb2
from butler_api.v1 import (
    collection_service_pb2,
    dataset_service_pb2,
    datastore_service_pb2,
    query_service_pb2,
    values_pb2,
)
from butler_api.validation import check_request
from butler_model.errors import InvalidRequestError
from tests.support.wire_services import SERVICES, methods_of

METHODS = methods_of(SERVICES)


def request_types() -> list[Descriptor]:
    """Return the messages of all requests, and those that are parts of them."""
    found: dict[str, Descriptor] = {}

    def walk(kind: Descriptor) -> None:
        if kind.full_name not in found and kind.file.package == "butler_api.v1":
            found[kind.full_name] = kind
            for each in kind.fields:
                if each.message_type is not None:
                    walk(each.message_type)

    for method in METHODS:
        walk(method.input_type)
    return list(found.values())


def fields() -> Iterator[FieldDescriptor]:
    for kind in request_types():
        if not kind.GetOptions().map_entry:
            yield from kind.fields


def has_rule(field: FieldDescriptor) -> bool:
    return field.GetOptions().HasExtension(validate_pb2.field)


def test_every_text_and_every_enumeration_of_a_request_has_a_rule() -> None:
    without = [
        each.full_name
        for each in fields()
        if (each.type == FieldDescriptor.TYPE_STRING or each.enum_type is not None) and not has_rule(each)
    ]
    assert not without


def test_every_id_of_a_request_has_sixteen_bytes_by_a_rule() -> None:
    names = {"request_id", "transaction_id", "token_id", "claim_id", "dataset_id", "uuid"}
    ids = [each for each in fields() if each.type == FieldDescriptor.TYPE_BYTES and each.name in names]
    assert len(ids) > 20
    for each in ids:
        assert each.GetOptions().Extensions[validate_pb2.field].bytes.len == 16, each.full_name


@pytest.mark.parametrize("kind", request_types(), ids=lambda kind: kind.full_name)
def test_the_rules_of_a_message_can_be_applied_and_its_empty_form_keeps_them(kind: Descriptor) -> None:
    message: Any = message_factory.GetMessageClass(kind)()
    assert protovalidate.collect_violations(message) == []


def refused(message: Any) -> tuple[str, str]:
    """Return the field that a refusal names, and what it says."""
    with pytest.raises(InvalidRequestError) as caught:
        check_request(message)
    return caught.value.metadata["field"], caught.value.message


def test_what_breaks_a_rule_is_refused_with_the_path_of_the_field() -> None:
    pb = dataset_service_pb2
    assert refused(pb.BeginPutRequest(request_id=b"short")) == (
        "request_id",
        "request_id: must be 16 bytes; see the rules beside the fields of BeginPutRequest in the protos.",
    )
    batch = pb.PutBatch(dataset_ids=[bytes(16), b"x"])
    assert refused(pb.BeginPutRequest(batches=[pb.PutBatch(), batch]))[0] == "batches[1].dataset_ids[1]"
    strange: Any = pb.PutBatch(placing=77)  # type: ignore[arg-type]
    assert refused(pb.BeginPutRequest(batches=[strange]))[0] == "batches[0].placing"
    names = collection_service_pb2.GetCollectionSummariesRequest(names=["a", "b" * 1001])
    assert refused(names)[0] == "names[1]"
    many = query_service_pb2.Paging(page_token=bytes(1_000_001))
    assert refused(query_service_pb2.QueryDataIdsRequest(paging=many))[0] == "paging.page_token"
    assert refused(datastore_service_pb2.ReadRequest(offset=-1))[0] == "offset"
    data_id = {"detector": values_pb2.Value(string_value="x" * (2**24 + 1))}
    assert (
        refused(query_service_pb2.QueryDataIdsRequest(data_id=data_id))[0] == "data_id[detector].string_value"
    )


def test_what_keeps_the_rules_passes() -> None:
    check_request(
        dataset_service_pb2.BeginPutRequest(repository="main", request_id=uuid.uuid4().bytes, run="run1")
    )
    check_request(datastore_service_pb2.WriteRequest(chunk=datastore_service_pb2.Chunk(content=bytes(2**20))))
