# SPDX-License-Identifier: BSD-3-Clause
"""The datastore's RPCs: each converts, calls the service, converts back."""

from __future__ import annotations

__all__ = ["datastore_services"]

from functools import partial

from butler_api.server import Services
from butler_api.v1.datastore_service_pb2_grpc import add_DatastoreServiceServicer_to_server
from butler_api.v1.housekeeping_service_pb2_grpc import add_HousekeepingServiceServicer_to_server
from butler_model.ports import Datastore
from butler_model.repository import Limits

from .artifacts import DatastoreServicer
from .housekeeping import HousekeepingCheck, HousekeepingServicer


def datastore_services(
    datastore: Datastore, limits: Limits, check_housekeeping: HousekeepingCheck | None = None
) -> Services:
    """Return the services of a datastore, for `butler_api.server.build_server`.

    Parameters
    ----------
    check_housekeeping
        Says whether a caller may have housekeeping done; needless where nobody is asked who calls.
    """
    artifacts = DatastoreServicer(datastore, limits)
    housekeeping = HousekeepingServicer(datastore.housekeeping, check_housekeeping)
    return {
        "butler_api.v1.DatastoreService": partial(add_DatastoreServiceServicer_to_server, artifacts),
        "butler_api.v1.HousekeepingService": partial(add_HousekeepingServiceServicer_to_server, housekeeping),
    }
