# SPDX-License-Identifier: BSD-3-Clause
"""Repositories: what a client learns of one when it opens it."""

from __future__ import annotations

__all__ = [
    "composites_from_json",
    "info_from_proto",
    "info_to_proto",
    "limits_from_proto",
    "limits_to_proto",
    "universe_from_json",
]

import dataclasses
import json

from butler_api.v1 import models_pb2, repository_service_pb2
from butler_model.composites import Composites
from butler_model.errors import ConfigurationError, LimitExceededError
from butler_model.repository import Constraints, Limits, RepositoryInfo, Store
from butler_model.universe import DimensionUniverse

_MAX_UNIVERSE_CHARACTERS = 1024 * 1024
_MAX_COMPOSITES_CHARACTERS = 1024 * 1024


def universe_from_json(text: str) -> DimensionUniverse:
    """Return the universe of a configuration, the default one of an empty text.

    Raises
    ------
    ConfigurationError
        Raised if the text is not JSON, or does not describe a universe.
    LimitExceededError
        Raised if the text is longer than 1 MiB.
    """
    if not text:
        return DimensionUniverse()
    if len(text) > _MAX_UNIVERSE_CHARACTERS:
        raise LimitExceededError(
            f"A dimension configuration of {len(text)} characters is too long; the limit is 1 MiB."
        )
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"A dimension configuration is not JSON: {error}.") from error
    if not isinstance(config, dict):
        raise ConfigurationError("A dimension configuration is a JSON object.")
    return DimensionUniverse(config)


def composites_from_json(text: str) -> Composites:
    """Return what is stored as separate components, nothing for an empty text.

    Raises
    ------
    ConfigurationError
        Raised if the text is not JSON, or of another shape.
    LimitExceededError
        Raised if the text is longer than 1 MiB.
    """
    if len(text) > _MAX_COMPOSITES_CHARACTERS:
        raise LimitExceededError(
            f"A configuration of composites of {len(text)} characters is too long; the limit is 1 MiB."
        )
    return Composites.from_json(text)


def limits_to_proto(limits: Limits) -> models_pb2.Limits:
    """Return the message for limits."""
    return models_pb2.Limits(**dataclasses.asdict(limits))


def limits_from_proto(message: models_pb2.Limits) -> Limits:
    """Return limits."""
    return Limits(**{field.name: getattr(message, field.name) for field in dataclasses.fields(Limits)})


def info_to_proto(info: RepositoryInfo) -> repository_service_pb2.GetRepositoryResponse:
    """Return the message for a repository."""
    return repository_service_pb2.GetRepositoryResponse(
        universe_json=info.universe.config_json,
        stores=map(_store_to_proto, info.stores),
        limits=limits_to_proto(info.limits),
        datastore_endpoint=info.datastore_endpoint,
        revision=info.revision,
        composites_json=info.composites.config_json,
    )


def info_from_proto(name: str, message: repository_service_pb2.GetRepositoryResponse) -> RepositoryInfo:
    """Return what is known of the repository of that name."""
    return RepositoryInfo(
        name,
        universe_from_json(message.universe_json),
        tuple(map(_store_from_proto, message.stores)),
        limits_from_proto(message.limits),
        message.datastore_endpoint,
        message.revision,
        composites_from_json(message.composites_json),
    )


def _store_to_proto(store: Store) -> models_pb2.Store:
    members = [
        models_pb2.StoreMember(name=name, constraints=_constraints_to_proto(member))
        for name, member in store.members.items()
    ]
    return models_pb2.Store(
        name=store.name,
        template=store.template,
        templates=store.templates,
        constraints=_constraints_to_proto(store.constraints),
        members=members,
    )


def _store_from_proto(message: models_pb2.Store) -> Store:
    return Store(
        message.name,
        message.template,
        dict(message.templates),
        _constraints_from_proto(message.constraints),
        {member.name: _constraints_from_proto(member.constraints) for member in message.members},
    )


def _constraints_to_proto(constraints: Constraints) -> models_pb2.Constraints:
    return models_pb2.Constraints(accept=constraints.accept, reject=constraints.reject)


def _constraints_from_proto(message: models_pb2.Constraints) -> Constraints:
    return Constraints(tuple(message.accept), tuple(message.reject))
