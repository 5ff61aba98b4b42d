# SPDX-License-Identifier: BSD-3-Clause
"""Whether what is configured fits the dataset types of a repository."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from butler import Butler, DatasetType
from butler_model import errors
from tests.support.butlers import Deployment, Repository
from tests.support.survey import insert_survey

STORES = {
    "first": {
        "root": "<butlerRoot>/first",
        "template": "{run}/{datasetType}/{visit}",
        "templates": {"note": "{run}/{datasetType}/{detector.full_name}", "nothing": "{run}/{datasetType}"},
        "constraints": {"reject": ["refused", "detektor+", "instrument<Nope>/note", "Text"]},
    },
}


def register(
    butler: Butler, name: str, dimensions: list[str], storage_class: str = "StructuredDataDict"
) -> None:
    butler.registry.registerDatasetType(
        DatasetType(name, dimensions, storage_class, universe=butler.dimensions)
    )


def problems(butler: Butler, **arguments: Any) -> str:
    with pytest.raises(errors.ValidationError) as caught:
        butler.validateConfiguration(**arguments)
    assert isinstance(caught.value, ValueError)
    return str(caught.value)


def test_what_is_shipped_fits_every_type_of_a_survey(repository: Repository) -> None:
    """A5."""
    butler = repository.surveyed("run1")
    butler.validateConfiguration()


def test_a_type_that_could_not_be_stored_is_named(
    repository: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    butler = repository.surveyed("run1")
    register(butler, "strange", ["detector"], "KnownNowhere")
    found = problems(butler, logFailures=True)
    assert "one problem" in found
    assert "'strange'" in found
    assert "KnownNowhere" in found
    assert [record.levelno for record in caplog.records if "'strange'" in record.getMessage()] == [
        logging.ERROR
    ]
    butler.validateConfiguration(ignore=["strange"])
    butler.validateConfiguration(datasetTypeNames=["note", "raw"])
    assert "KnownNowhere" in problems(butler, datasetTypeNames=["strange"])
    with pytest.raises(errors.MissingDatasetTypeError):
        butler.validateConfiguration(datasetTypeNames=["nothing"])


def test_templates_and_constraints_are_checked_key_by_key(place: Deployment) -> None:
    if place.root.startswith("grpc"):
        return  # a service has its own stores
    Butler.makeRepo(place.root, stores=STORES, **place.options)
    with Butler(place.root, writeable=True) as butler:
        insert_survey(butler)
        register(butler, "note", ["detector"])
        register(butler, "image", ["visit", "detector"])
        register(butler, "refused", ["visit"])
        register(butler, "calib", ["detector"])
        found = problems(butler)
        assert "5 problems" in found or "6 problems" in found
        for part in (
            "'calib': The path template '{run}/{datasetType}/{visit}' needs 'visit'",
            "'refused': No store of this repository takes datasets",
            "'nothing' in the templates of store 'first' is neither",
            "'detektor+' in the constraints of store 'first'",
            "'instrument<Nope>/note' in the constraints of store 'first' is for an instrument that does not exist",
        ):
            assert part in found
        assert "'note': " not in found
        assert "'image': " not in found
        ignored = ["calib", "refused", "nothing", "detektor+", "instrument<Nope>/note"]
        butler.validateConfiguration(ignore=ignored)
