# SPDX-License-Identifier: BSD-3-Clause
"""The datastore's RPCs: each converts, calls the service, converts back."""

from __future__ import annotations

__all__ = ["datastore_services"]

from functools import partial

from butler_api.server import Services
from butler_api.v1.datastore_service_pb2_grpc import add_DatastoreServiceServicer_to_server
from butler_model.ports import Datastore
from butler_model.repository import Limits

from .artifacts import DatastoreServicer


def datastore_services(datastore: Datastore, limits: Limits) -> Services:
    """Return the service of a datastore, for `butler_api.server.build_server`."""
    servicer = DatastoreServicer(datastore, limits)
    return {"butler_api.v1.DatastoreService": partial(add_DatastoreServiceServicer_to_server, servicer)}
