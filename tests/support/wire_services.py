# SPDX-License-Identifier: BSD-3-Clause
"""All services of the wire contract, found in the generated code: one that is added later is tested without a word."""

from __future__ import annotations

__all__ = ["DATASTORE_SERVICES", "REGISTRY_SERVICES", "SERVICES", "methods_of"]

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from butler_api import v1

_OF_DATASTORE = ("DatastoreService", "HousekeepingService")


def _services() -> list[ServiceDescriptor]:
    names = sorted(
        module.name for module in pkgutil.iter_modules(v1.__path__) if module.name.endswith("_service_pb2")
    )
    modules: list[Any] = [importlib.import_module(f"{v1.__name__}.{name}") for name in names]
    return [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]


def methods_of(services: Iterable[ServiceDescriptor]) -> list[MethodDescriptor]:
    """Return the methods of some services."""
    return [method for service in services for method in service.methods]


SERVICES = _services()
DATASTORE_SERVICES = [service for service in SERVICES if service.name in _OF_DATASTORE]
REGISTRY_SERVICES = [service for service in SERVICES if service.name not in _OF_DATASTORE]
