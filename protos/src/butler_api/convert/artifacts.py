# SPDX-License-Identifier: BSD-3-Clause
"""Artifacts, how they are laid out, and receipts for them."""

from __future__ import annotations

__all__ = [
    "artifact_from_proto",
    "artifact_to_proto",
    "file_to_ingest_from_proto",
    "file_to_ingest_to_proto",
    "layout_from_proto",
    "layout_to_proto",
    "receipt_from_proto",
    "receipt_to_proto",
    "record_from_proto",
    "record_to_proto",
    "url_from_proto",
    "url_to_proto",
]

from uuid import UUID

from butler_api.v1 import datastore_service_pb2, models_pb2
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
from butler_model.errors import InvalidRequestError

from .values import uuid_from_proto

_MODES = {
    TransferMode.AUTO: datastore_service_pb2.TRANSFER_MODE_AUTO,
    TransferMode.COPY: datastore_service_pb2.TRANSFER_MODE_COPY,
    TransferMode.MOVE: datastore_service_pb2.TRANSFER_MODE_MOVE,
    TransferMode.HARDLINK: datastore_service_pb2.TRANSFER_MODE_HARDLINK,
    TransferMode.LINK: datastore_service_pb2.TRANSFER_MODE_LINK,
    TransferMode.SYMLINK: datastore_service_pb2.TRANSFER_MODE_SYMLINK,
    TransferMode.RELSYMLINK: datastore_service_pb2.TRANSFER_MODE_RELSYMLINK,
}
_MODES_BACK = {number: mode for mode, number in _MODES.items()}


def layout_to_proto(layout: ArtifactLayout) -> models_pb2.ArtifactLayout:
    """Return the message for a layout."""
    return models_pb2.ArtifactLayout(
        component=layout.component,
        formatter=layout.formatter,
        extension=layout.extension,
        storage_class=layout.storage_class,
    )


def layout_from_proto(message: models_pb2.ArtifactLayout) -> ArtifactLayout:
    """Return a layout; `InvalidNameError` if its extension or formatter is malformed."""
    return ArtifactLayout(message.formatter, message.extension, message.storage_class, message.component)


def artifact_to_proto(artifact: Artifact) -> models_pb2.Artifact:
    """Return the message for an artifact; which dataset it is of is said where it stands."""
    return models_pb2.Artifact(record=record_to_proto(artifact.record), read_grant=artifact.grant)


def artifact_from_proto(message: models_pb2.Artifact, dataset_id: UUID) -> Artifact:
    """Return an artifact of the dataset that it came with."""
    return Artifact(record_from_proto(message.record, dataset_id), message.read_grant)


def record_to_proto(record: ArtifactRecord) -> models_pb2.ArtifactRecord:
    """Return the message for what is known of an artifact; which dataset it is of is said where it stands."""
    return models_pb2.ArtifactRecord(
        store=record.store,
        key=record.key,
        layout=layout_to_proto(record.layout),
        size=record.size,
        checksum=record.checksum,
    )


def record_from_proto(message: models_pb2.ArtifactRecord, dataset_id: UUID) -> ArtifactRecord:
    """Return what is known of an artifact of the dataset that it came with."""
    layout = layout_from_proto(message.layout)
    return ArtifactRecord(dataset_id, message.store, message.key, layout, message.size, message.checksum)


def receipt_to_proto(signed: SignedReceipt) -> models_pb2.Receipt:
    """Return the message for a receipt."""
    receipt = signed.receipt
    return models_pb2.Receipt(
        store=receipt.store,
        key=receipt.key,
        dataset_id=receipt.dataset_id.bytes,
        component=receipt.component,
        size=receipt.size,
        checksum=receipt.checksum,
        token=signed.token,
        repository=receipt.repository,
    )


def receipt_from_proto(message: models_pb2.Receipt) -> SignedReceipt:
    """Return a receipt; `InvalidRequestError` if the UUID in it is malformed."""
    receipt = Receipt(
        message.repository,
        message.store,
        message.key,
        uuid_from_proto(message.dataset_id, "dataset_id"),
        message.component,
        message.size,
        message.checksum,
    )
    return SignedReceipt(receipt, message.token)


def file_to_ingest_to_proto(file: FileToIngest) -> datastore_service_pb2.FileToIngest:
    """Return the message for a file that a datastore is to take."""
    return datastore_service_pb2.FileToIngest(
        grant=file.grant, source=file.source, mode=_MODES[file.mode], size=file.size
    )


def file_to_ingest_from_proto(message: datastore_service_pb2.FileToIngest) -> FileToIngest:
    """Return a file that a datastore is to take; `InvalidRequestError` if it is not said how."""
    mode = _MODES_BACK.get(message.mode)
    if mode is None:
        raise InvalidRequestError(f"There is no transfer mode {message.mode} for {message.source!r:.300}.")
    return FileToIngest(
        message.grant, message.source, mode, message.size if message.HasField("size") else None
    )


def url_to_proto(url: ArtifactUrl) -> datastore_service_pb2.ArtifactUrl:
    """Return the message for the URL of an artifact."""
    return datastore_service_pb2.ArtifactUrl(
        url=url.url,
        method=url.method,
        headers=dict(url.headers),
        expire_time=url.expires,
        size=url.size,
        checksum=url.checksum,
        root=url.root,
    )


def url_from_proto(message: datastore_service_pb2.ArtifactUrl) -> ArtifactUrl:
    """Return the URL of an artifact."""
    return ArtifactUrl(
        message.url,
        message.method,
        dict(message.headers),
        message.expire_time,
        message.size,
        message.checksum,
        message.root,
    )
