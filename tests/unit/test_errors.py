# SPDX-License-Identifier: BSD-3-Clause
"""The catalogue of errors is closed, and each can travel."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from butler_model import errors
from butler_model.errors import CATALOGUE, ButlerError, Status

CLASSES = sorted(ButlerError.__subclasses__(), key=lambda error: error.__name__)
# What people have always written in their except clauses.
BUILTINS = {
    "AmbiguousDataIdError": RuntimeError,
    "CollectionTypeError": TypeError,
    "ConflictingDefinitionError": ValueError,
    "DataIdValueError": LookupError,
    "DatasetNotFoundError": LookupError,
    "ArtifactNotFoundError": FileNotFoundError,
    "DimensionNameError": KeyError,
    "DimensionValueError": ValueError,
    "MissingCollectionError": LookupError,
    "MissingDatasetTypeError": KeyError,
    "ReadOnlyError": TypeError,
    "RepositoryExistsError": FileExistsError,
    "RepositoryNotFoundError": FileNotFoundError,
    "ServiceUnavailableError": ConnectionError,
    "StorageClassTypeError": TypeError,
    "UnsupportedOperationError": NotImplementedError,
}


def test_every_error_has_a_reason_of_its_own() -> None:
    assert len(CATALOGUE) == len(CLASSES)
    assert set(CATALOGUE.values()) == set(CLASSES)
    for reason, error in CATALOGUE.items():
        assert error.reason == reason
        assert re.fullmatch(r"[A-Z][A-Z0-9_]+", reason)
        assert reason == re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error.__name__.removesuffix("Error")).upper()


def test_the_catalogue_is_flat_and_public() -> None:
    for error in CLASSES:
        assert error.__name__ in errors.__all__
        assert error.__subclasses__() == []
        assert isinstance(error.status, Status)
        assert (error.__doc__ or "").strip().endswith(".")


def test_every_name_that_is_public_is_there() -> None:
    assert set(errors.__all__) == {error.__name__ for error in CLASSES} | {
        "CATALOGUE",
        "ButlerError",
        "Status",
    }


@pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
def test_an_error_is_also_what_people_expect(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize("error", CLASSES)
def test_an_error_keeps_its_message_and_facts(error: type[ButlerError]) -> None:
    raised = error("'é' is wrong; do this.", name="é", id="5")
    copies = [raised, copy.copy(raised)]
    copies += [
        pickle.loads(pickle.dumps(raised, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    ]
    for each in copies:
        assert type(each) is error
        assert str(each) == each.message == "'é' is wrong; do this."
        assert each.metadata == {"name": "é", "id": "5"}
        assert each.args == ("'é' is wrong; do this.",)


@pytest.mark.parametrize("error", CLASSES)
def test_an_error_can_be_raised_and_caught_as_any_of_its_classes(error: type[ButlerError]) -> None:
    for base in error.__mro__[:-1]:
        if issubclass(base, BaseException):
            with pytest.raises(base):
                raise error("message")
