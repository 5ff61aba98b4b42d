# SPDX-License-Identifier: BSD-3-Clause
"""What is converted to messages and back is what it was, and hostile messages give errors of the catalogue."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

import lsst.sphgeom
import numpy as np
import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import given, settings
from hypothesis import strategies as st

from butler_api.convert.artifacts import (
    artifact_from_proto,
    artifact_to_proto,
    file_to_ingest_from_proto,
    file_to_ingest_to_proto,
    receipt_from_proto,
    receipt_to_proto,
    url_from_proto,
    url_to_proto,
)
from butler_api.convert.chunks import bytes_from_chunk, chunk_to_proto, cut
from butler_api.convert.collections import collection_from_proto, collection_to_proto
from butler_api.convert.columns import column_from_proto, column_to_proto
from butler_api.convert.data_ids import (
    data_id_from_proto,
    data_id_to_proto,
    data_ids_from_proto,
    data_ids_to_proto,
    expanded_from_proto,
    expanded_to_proto,
)
from butler_api.convert.dataset_types import dataset_type_from_proto, dataset_type_to_proto
from butler_api.convert.datasets import (
    begin_from_proto,
    begin_to_proto,
    found_from_proto,
    found_to_proto,
    granted_from_proto,
    granted_to_proto,
)
from butler_api.convert.dimension_records import (
    records_from_proto,
    records_to_proto,
    trusted_records_from_proto,
)
from butler_api.convert.queries import (
    data_id_query_from_proto,
    data_id_query_to_proto,
    dataset_query_from_proto,
    dataset_query_to_proto,
    page_from_proto,
    page_request_from_proto,
    page_request_to_proto,
    page_to_proto,
    record_query_from_proto,
    record_query_to_proto,
)
from butler_api.convert.repositories import info_from_proto, info_to_proto, universe_from_json
from butler_api.convert.values import region_from_proto, timespan_from_proto, uuid_from_proto
from butler_api.v1 import dataset_service_pb2, models_pb2, query_service_pb2, values_pb2
from butler_model.artifact import (
    Artifact,
    ArtifactLayout,
    ArtifactRecord,
    ArtifactUrl,
    FileToIngest,
    Receipt,
    SignedReceipt,
    TransferMode,
)
from butler_model.collection import Collection, CollectionType
from butler_model.composites import Composites
from butler_model.data_id import DataCoordinate
from butler_model.dataset import DatasetRef, DatasetType, new_dataset_id
from butler_model.dimensions import Column, ColumnType, DimensionElement
from butler_model.errors import (
    ButlerError,
    ChecksumMismatchError,
    ConfigurationError,
    DimensionNameError,
    DimensionValueError,
    InvalidNameError,
    InvalidRequestError,
    LimitExceededError,
)
from butler_model.paging import PageRequest, ResultColumn, ResultPage, ResultType
from butler_model.ports import BeginPut, FoundDataset, Placing, PutBatch, PutIntent, WriteGrant
from butler_model.query.spec import QuerySpec, ResultKind
from butler_model.records import DimensionRecord
from butler_model.repository import Constraints, Limits, RepositoryInfo, Store
from butler_model.timespan import MAX_NSEC, Timespan
from butler_model.universe import DimensionUniverse

UNIVERSE = DimensionUniverse()

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=20)
UNIT = st.floats(-1.0, 1.0, width=32)
DIRECTIONS = st.tuples(UNIT, UNIT, UNIT).filter(lambda v: sum(x * x for x in v) > 0.01)
VECTORS = DIRECTIONS.map(lambda v: lsst.sphgeom.UnitVector3d(*v))
REGIONS = st.builds(
    lambda center, degrees: lsst.sphgeom.Circle(center, lsst.sphgeom.Angle.fromDegrees(degrees)),
    VECTORS,
    st.floats(0.1, 80),
)
TIMESPANS = st.builds(Timespan.from_nsec, st.integers(0, MAX_NSEC), st.integers(0, MAX_NSEC))
VALUES: dict[ResultType, st.SearchStrategy[Any]] = {
    ResultType.INT: INT64,
    ResultType.STRING: TEXT,
    ResultType.FLOAT: st.floats(allow_nan=False),
    ResultType.BOOL: st.booleans(),
    ResultType.BYTES: st.binary(max_size=20),
    ResultType.REGION: REGIONS,
    ResultType.TIMESPAN: TIMESPANS,
    ResultType.UUID: st.uuids(),
}
ANY_VALUE = st.one_of(
    INT64, TEXT, st.floats(allow_nan=False), st.booleans(), st.binary(), TIMESPANS, st.none()
)
COLUMNS = st.sampled_from(ResultType).flatmap(
    lambda kind: st.tuples(st.just(kind), st.lists(st.one_of(st.none(), VALUES[kind]), max_size=30))
)

_M = TypeVar("_M", bound=Message)


def sent(message: _M) -> _M:
    """Return the message as it arrives."""
    return type(message).FromString(message.SerializeToString())


@given(COLUMNS)
def test_a_column_keeps_its_values_and_where_there_is_none(column: tuple[ResultType, list[Any]]) -> None:
    kind, values = column
    arrived = column_from_proto(sent(column_to_proto("name", kind, values)), len(values))
    assert arrived == ResultColumn("name", kind, values)
    assert [type(value) for value in arrived.values] == [type(value) for value in values]


@given(st.lists(st.dictionaries(st.sampled_from(["instrument", "detector", "visit.name", "ß"]), ANY_VALUE)))
def test_data_ids_keep_their_keys_values_and_types(data_ids: list[dict[str, Any]]) -> None:
    arrived = data_ids_from_proto(sent(data_ids_to_proto(data_ids)), 100)
    assert arrived == data_ids
    for mine, theirs in zip(arrived, data_ids, strict=True):
        assert {name: type(value) for name, value in mine.items()} == {
            name: type(value) for name, value in theirs.items()
        }


@given(st.dictionaries(TEXT, ANY_VALUE))
def test_one_data_id_keeps_its_keys_values_and_types(data_id: dict[str, Any]) -> None:
    arrived = data_id_from_proto(data_id_to_proto(data_id))
    assert arrived == data_id
    assert {name: type(value) for name, value in arrived.items()} == {
        name: type(value) for name, value in data_id.items()
    }


@pytest.mark.parametrize(
    ("given_value", "plain"),
    [
        (np.int64(5), 5),
        (np.uint8(5), 5),
        (np.str_("a"), "a"),
        (np.bool_(True), True),
        (np.float32(0.5), 0.5),
        (np.array(5), 5),
    ],
)
def test_numpy_scalars_become_plain_values(given_value: Any, plain: object) -> None:
    for others in ([], [7], ["x"]):
        rows = [{"detector": value} for value in [*others, given_value]]
        arrived = data_ids_from_proto(data_ids_to_proto(rows), 10)[-1]["detector"]
        assert arrived == plain
        assert type(arrived) is type(plain)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "\udc80", object(), [1], {"a": 1}, 1j])
@pytest.mark.parametrize("others", [[], [5], ["x"]])
def test_a_value_that_no_data_id_can_have_is_refused_where_it_is_given(
    value: object, others: list[Any]
) -> None:
    with pytest.raises(DimensionValueError, match="detector"):
        data_ids_to_proto([{"detector": each} for each in [*others, value]])


@pytest.mark.parametrize("key", [5, None, "\udc80"])
def test_a_key_that_is_no_name_is_refused_where_it_is_given(key: Any) -> None:
    with pytest.raises(DimensionNameError):
        data_ids_to_proto([{key: 5}])


def test_a_data_id_with_known_implied_values_sends_them_too() -> None:
    group = UNIVERSE.conform(["physical_filter"])
    full = DataCoordinate(group, ("Cam1", "G", "g"))
    assert data_ids_from_proto(data_ids_to_proto([full]), 1) == [dict(full.mapping)]


def test_data_ids_without_keys_have_a_number_and_nothing_else() -> None:
    assert data_ids_from_proto(sent(data_ids_to_proto([{}, {}])), 2) == [{}, {}]


def field_values(column: Column) -> st.SearchStrategy[Any]:
    """Give valid values of a field."""
    match column.type:
        case ColumnType.STRING:
            letters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
            return st.text(letters, max_size=min(column.length or 20, 20))
        case ColumnType.HASH:
            return st.binary(max_size=column.nbytes)
        case ColumnType.INT:
            return INT64
        case ColumnType.FLOAT:
            return VALUES[ResultType.FLOAT]
        case ColumnType.BOOL:
            return st.booleans()
        case ColumnType.REGION:
            return REGIONS
        case ColumnType.TIMESPAN:
            return TIMESPANS


def records(element: DimensionElement) -> st.SearchStrategy[DimensionRecord]:
    """Give valid records of an element."""
    fields = {}
    for column in element.columns:
        values = field_values(column)
        nullable = column.nullable and column.type is not ColumnType.TIMESPAN
        fields[column.name] = st.one_of(st.none(), values) if nullable else values
    return st.fixed_dictionaries(fields).map(lambda given_fields: DimensionRecord(element, given_fields))


@pytest.mark.parametrize("name", [e.name for e in UNIVERSE if e.has_table])
@settings(max_examples=25)
@given(data=st.data())
def test_records_keep_every_field(name: str, data: st.DataObject) -> None:
    element = UNIVERSE[name]
    made = data.draw(st.lists(records(element), max_size=3))
    message = sent(records_to_proto(element, made))
    for arrived in (
        records_from_proto(UNIVERSE, message, 10),
        trusted_records_from_proto(element, message),
    ):
        assert [record.values for record in arrived] == [record.values for record in made]


def test_a_record_of_another_element_is_refused() -> None:
    record = UNIVERSE["instrument"].RecordClass(name="Cam1")
    with pytest.raises(InvalidRequestError, match=r"instrument.*detector"):
        records_to_proto(UNIVERSE["detector"], [record])


def test_records_of_a_request_are_checked_like_those_made_here() -> None:
    table = values_pb2.Table(columns=[column_to_proto("name", ResultType.INT, [5])], rows=1)
    message = models_pb2.DimensionRecordTable(element="instrument", records=table)
    with pytest.raises(DimensionValueError, match="instrument"):
        records_from_proto(UNIVERSE, message, 10)


def expanded(number: int) -> DataCoordinate:
    """Return an expanded data ID; those of odd and of even numbers share their filter."""
    band = "gr"[number % 2]
    physical_filter = UNIVERSE["physical_filter"].RecordClass(instrument="Cam1", name=band.upper(), band=band)
    found: dict[str, DimensionRecord | None] = {
        "instrument": UNIVERSE["instrument"].RecordClass(name="Cam1", visit_max=5),
        "band": UNIVERSE["band"].RecordClass(name=band) if UNIVERSE["band"].has_table else None,
        "physical_filter": physical_filter,
        "detector": UNIVERSE["detector"].RecordClass(instrument="Cam1", id=number, full_name=f"d{number}"),
    }
    group = UNIVERSE.conform(["detector", "physical_filter"])
    values: dict[str, int | str] = {
        "instrument": "Cam1",
        "detector": number,
        "physical_filter": band.upper(),
        "band": band,
    }
    known = {name: found.get(name) for name in group.elements}
    return DataCoordinate(group, tuple(values[name] for name in group.names), known)


def test_expanded_data_ids_keep_values_and_records_and_share_these() -> None:
    made = [expanded(number) for number in range(6)]
    message = sent(expanded_to_proto(made))
    assert [table.records.rows for table in message.records if table.element == "instrument"] == [1]
    arrived = expanded_from_proto(UNIVERSE, message)
    assert [each.full for each in arrived] == [each.full for each in made]
    for mine, theirs in zip(arrived, made, strict=True):
        assert {n: r and r.values for n, r in mine.records.items()} == {
            n: r and r.values for n, r in theirs.records.items()
        }
    assert arrived[0].records["physical_filter"] is arrived[2].records["physical_filter"]


def test_expanded_data_ids_of_no_dimensions_and_none_at_all() -> None:
    empty = DataCoordinate.make_empty(UNIVERSE)
    assert expanded_from_proto(UNIVERSE, sent(expanded_to_proto([empty, empty]))) == [empty, empty]
    assert expanded_from_proto(UNIVERSE, sent(expanded_to_proto([]))) == []


def test_datasets_puts_and_grants_keep_everything() -> None:
    data_id = expanded(1)
    dataset_type = DatasetType("calexp", data_id.dimensions, "ArrowTable", isCalibration=True)
    assert dataset_type_from_proto(UNIVERSE, sent(dataset_type_to_proto(dataset_type))) == dataset_type
    ids = [new_dataset_id() for _ in range(2)]
    layouts = (ArtifactLayout("json", ".json", "A", "wcs"), ArtifactLayout("fits", ".fits.gz", "B", "image"))
    ref = DatasetRef(dataset_type, data_id, "run", id=ids[0])
    record = ArtifactRecord(ids[0], "main", "a/b", layouts[0], 2**40, "sha256:00")
    found = FoundDataset(ref, (Artifact(record, b"grant"),))
    types = {"calexp": dataset_type}
    assert found_from_proto(sent(found_to_proto(found)), types) == found
    assert found_from_proto(sent(found_to_proto(None)), types) is None
    assert artifact_from_proto(artifact_to_proto(found.artifacts[0]), ids[0]) == found.artifacts[0]

    batch = PutBatch("calexp", "ArrowTable", [{"detector": 1}, {"detector": "A"}], ids, layouts)
    begin = BeginPut(UUID(int=7), "run", (batch,), 60)
    assert begin_from_proto(sent(begin_to_proto("main", begin)), 10) == begin
    for placing in Placing:
        batch_in_place = replace(batch, sharing=(2,), placing=placing, keys=("a/b",))
        begin_in_place = BeginPut(UUID(int=7), "run", (batch_in_place,), 60)
        assert begin_from_proto(sent(begin_to_proto("main", begin_in_place)), 10) == begin_in_place
    intents = [
        PutIntent(
            i, expanded(n), (WriteGrant("wcs", "s", f"{n}w", b"1"), WriteGrant("image", "s", f"{n}i", b"2"))
        )
        for n, i in enumerate(ids)
    ]
    arrived = granted_from_proto(UNIVERSE, sent(granted_to_proto(intents)), batch)
    assert arrived == intents


STORES = (
    Store("a"),
    Store("b", "t", {"raw": "x"}, Constraints(("raw",), ("all",))),
    Store("c", members={"memory": Constraints(), "files": Constraints(reject=("flat",))}),
)


def test_collections_receipts_and_repositories_keep_everything() -> None:
    for type_ in CollectionType:
        collection = Collection("u/a", type_, "doc", ("b", "c"))
        assert collection_from_proto(sent(collection_to_proto(collection))) == collection
    signed = SignedReceipt(Receipt("main", "s", "k", UUID(int=5), "c", 2**40, "sha256:00"), b"token")
    assert receipt_from_proto(sent(receipt_to_proto(signed))) == signed
    for mode in TransferMode:
        for size in (None, 0, 2**40):
            file = FileToIngest(b"grant", "/data/a.fits", mode, size)
            assert file_to_ingest_from_proto(sent(file_to_ingest_to_proto(file))) == file
    composites = Composites({"disassembled": {"calexp": True}})
    info = RepositoryInfo("main", UNIVERSE, STORES, Limits(page_rows=7), "h:1", 2**40, composites)
    assert info_from_proto("main", sent(info_to_proto(info))) == info
    assert universe_from_json("") is UNIVERSE


@given(st.lists(COLUMNS, max_size=3), st.binary(), INT64)
def test_pages_keep_everything(
    columns: list[tuple[ResultType, list[Any]]], token: bytes, revision: int
) -> None:
    rows = min((len(values) for _, values in columns), default=0)
    made = tuple(ResultColumn(str(i), kind, values[:rows]) for i, (kind, values) in enumerate(columns))
    page = ResultPage(made, rows, token, revision)
    assert page_from_proto(sent(page_to_proto(page))) == page


def test_queries_keep_everything() -> None:
    page = PageRequest(7, b"token")
    data_id: dict[str, int | str] = {"instrument": "Cam1", "detector": 5}
    datasets = QuerySpec(
        ResultKind.DATASETS, dataset_type="raw", collections=("a", "b"), find_first=True, data_id=data_id
    )
    assert dataset_query_from_proto(sent(dataset_query_to_proto("main", datasets, page))) == datasets
    data_ids = QuerySpec(ResultKind.DATA_IDS, dimensions=("visit", "detector"), data_id=data_id)
    assert data_id_query_from_proto(sent(data_id_query_to_proto("main", data_ids, page))) == data_ids
    dimension_records = QuerySpec(ResultKind.DIMENSION_RECORDS, element="visit", data_id=data_id)
    request = sent(record_query_to_proto("main", dimension_records, page))
    assert record_query_from_proto(request) == dimension_records
    assert page_request_from_proto(page_request_to_proto(page)) == page


@given(st.lists(st.binary(max_size=50)), st.integers(1, 20))
def test_chunks_keep_every_byte_and_are_no_longer_than_they_may_be(pieces: list[bytes], size: int) -> None:
    chunks = [chunk_to_proto(piece) for piece in cut(pieces, size)]
    assert b"".join(bytes_from_chunk(sent(chunk), "") for chunk in chunks) == b"".join(pieces)
    assert all(len(chunk.content) <= size for chunk in chunks)


@given(st.text(), st.dictionaries(st.text(), st.text()), st.integers(0, 2**62))
def test_urls_keep_everything(text: str, headers: dict[str, str], number: int) -> None:
    url = ArtifactUrl(text, "GET", headers, number, number, "sha256:0", text)
    assert url_from_proto(sent(url_to_proto(url))) == url


@given(st.binary(min_size=1), st.data())
def test_a_damaged_chunk_is_noticed_and_named(content: bytes, data: st.DataObject) -> None:
    chunk = chunk_to_proto(content)
    position = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[position] ^= data.draw(st.integers(1, 255))
    chunk.content = bytes(damaged)
    with pytest.raises(ChecksumMismatchError, match="at offset 7"):
        bytes_from_chunk(chunk, "at offset 7")


# ------------------------------------------------------------------------------------------ hostile messages


def table(rows: int = 2, **column: Any) -> values_pb2.Table:
    """Return a table of one column."""
    return values_pb2.Table(columns=[values_pb2.Column(name="detector", **column)], rows=rows)


@pytest.mark.parametrize(
    "bad",
    [
        table(),
        table(ints=values_pb2.IntColumn(values=[1])),
        table(ints=values_pb2.IntColumn(values=[1, 2, 3])),
        table(ints=values_pb2.IntColumn(values=[1, 2]), null_rows=[2]),
        table(strings=values_pb2.StringColumn(dictionary=["a"], indexes=[0, 1])),
        table(strings=values_pb2.StringColumn(indexes=[0, 0])),
        table(uuids=b"x" * 31),
        table(uuids=b"x" * 48),
        table(regions=values_pb2.BytesColumn(values=[b"", b"x"])),
        table(timespans=values_pb2.TimespanColumn(begin_nsec=[1, 2], end_nsec=[3])),
        table(timespans=values_pb2.TimespanColumn(begin_nsec=[-9, 2], end_nsec=[-3, 5])),
        table(mixed=values_pb2.ValueColumn(values=[values_pb2.Value(region_value=b"x")] * 2)),
        values_pb2.Table(
            columns=[*table(bools=values_pb2.BoolColumn(values=[True, True])).columns] * 2, rows=2
        ),
    ],
    ids=range(13),
)
def test_a_malformed_table_is_an_invalid_request(bad: values_pb2.Table) -> None:
    with pytest.raises(InvalidRequestError):
        data_ids_from_proto(bad, 100)


def test_a_table_that_claims_more_rows_than_a_batch_may_have_is_refused_before_they_are_made() -> None:
    with pytest.raises(LimitExceededError):
        data_ids_from_proto(values_pb2.Table(rows=2**32 - 1), 5_000)
    records = values_pb2.Table(rows=2**32 - 1)
    message = models_pb2.DimensionRecordTable(element="instrument", records=records)
    with pytest.raises(LimitExceededError):
        records_from_proto(UNIVERSE, message, 5_000)


def test_a_region_of_many_levels_is_refused_before_its_decoder_overflows_the_stack() -> None:
    encoded = lsst.sphgeom.Circle(lsst.sphgeom.UnitVector3d(1, 0, 0)).encode()
    for _ in range(10):
        encoded = b"u" + struct.pack("<Q", len(encoded)) + encoded
    assert region_from_proto(encoded) is not None
    deep = b"".join(b"u" + struct.pack("<Q", length) for length in range(9 * 200_000, 0, -9)) + encoded
    with pytest.raises(LimitExceededError):
        region_from_proto(deep)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_uuid_has_sixteen_bytes(size: int) -> None:
    with pytest.raises(InvalidRequestError, match="request_id"):
        uuid_from_proto(b"x" * size, "request_id")


@pytest.mark.parametrize(
    ("convert", "expected"),
    [
        (lambda: collection_from_proto(models_pb2.Collection(name="a")), InvalidRequestError),
        (lambda: collection_from_proto(models_pb2.Collection(name="a", type=99)), InvalidRequestError),  # type: ignore[arg-type]
        (lambda: collection_from_proto(models_pb2.Collection(name="../a", type=1)), InvalidNameError),  # type: ignore[arg-type]
        (lambda: timespan_from_proto(values_pb2.TimespanValue(begin_nsec=-9, end_nsec=-5)), InvalidRequestError),
        (lambda: universe_from_json("{"), ConfigurationError),
        (lambda: universe_from_json("[" * 100_000), ConfigurationError),
        (lambda: universe_from_json("[]"), ConfigurationError),
        (lambda: universe_from_json(" " * 2_000_000), LimitExceededError),
        (lambda: record_query_from_proto(query_service_pb2.QueryDimensionRecordsRequest()), InvalidRequestError),
        (lambda: begin_from_proto(dataset_service_pb2.BeginPutRequest(), 5), InvalidRequestError),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_an_error_of_the_catalogue(
    convert: Callable[[], object], expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        convert()


def test_damaged_messages_give_errors_of_the_catalogue_and_no_others() -> None:
    numbers = random.Random(4)
    names = ["name", "region", "timespan", "id"]
    kinds = [ResultType.STRING, ResultType.REGION, ResultType.TIMESPAN, ResultType.UUID]
    samples: list[list[Any]] = [
        ["a", None],
        [lsst.sphgeom.Circle(lsst.sphgeom.UnitVector3d(1, 0, 0)), None],
        [Timespan.from_nsec(1, 5), None],
        [UUID(int=5), UUID(int=6)],
    ]
    columns = [column_to_proto(n, k, v) for n, k, v in zip(names, kinds, samples, strict=True)]
    whole = models_pb2.DimensionRecordTable(
        element="visit", records=values_pb2.Table(columns=columns, rows=2)
    ).SerializeToString()
    refused = 0
    for _ in range(5_000):
        damaged = bytearray(whole)
        for _ in range(numbers.randint(1, 3)):
            damaged[numbers.randrange(len(damaged))] = numbers.randrange(256)
        try:
            message = models_pb2.DimensionRecordTable.FromString(bytes(damaged))
            data_ids_from_proto(message.records, 100)
            records_from_proto(UNIVERSE, message, 100)
        except DecodeError:
            continue
        except ButlerError:
            refused += 1
    assert refused > 1_000
