# SPDX-License-Identifier: BSD-3-Clause
"""What a reader looks for in the documentation is there: methods, errors, calls, commands, and the names of before."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import butler
from butler import Butler
from butler.cli.exit_codes import ExitCode
from butler.cli.main import program
from butler.collections import ButlerCollections
from butler.registry import ButlerRegistry
from butler.trash import ButlerTrash
from butler_model.errors import CATALOGUE
from tools.reference import commands_page, errors_page, protocol_page

DOCS = Path(__file__).resolve().parents[2] / "docs"

COMMANDS_BEFORE = (
    "create", "config-dump", "config-validate", "import", "associate", "prune-collection", "prune-datasets",
    "certify-calibrations", "query-collections", "query-dataset-types", "query-datasets", "query-data-ids",
    "query-dimension-records", "remove-dataset-type", "export-calibs", "collection-chain", "ingest-files",
    "retrieve-artifacts", "transfer-datasets", "register-dataset-type", "remove-runs", "remove-collections",
    "ingest-zip",
)  # fmt: skip
"""Of the older library, then and now."""
METHODS_BEFORE = (
    "GENERATION", "clone", "close", "collections", "datasetExists", "dimensions", "exists", "export", "find_dataset",
    "from_config", "get", "getDeferred", "getDirect", "getDirectDeferred", "getManyURIs", "getURI", "getURIs",
    "get_dataset", "get_dataset_from_uri", "get_dataset_type", "get_known_repos", "get_many_datasets", "get_repo_uri",
    "has_repo_config", "import_", "ingest", "ingest_zip", "isWriteable", "makeRepo", "parse_dataset_uri",
    "pruneCollection", "pruneDatasets", "put", "putDirect", "query", "query_all_datasets", "query_data_ids",
    "query_datasets", "query_dimension_records", "record_metrics", "datastore", "registry", "removeRuns",
    "retrieveArtifacts", "retrieve_artifacts_zip", "run", "storageClasses", "stored", "stored_many", "transaction",
    "transfer_dimension_records_from", "transfer_from", "validateConfiguration",
)  # fmt: skip
REGISTRY_BEFORE = (
    "associate", "certify", "copy", "decertify", "defaults", "dimensions", "disassociate", "expandDataId",
    "findDataset", "getCollectionChain", "getCollectionDocumentation", "getCollectionParentChains",
    "getCollectionSummary", "getCollectionType", "getDataset", "getDatasetLocations", "getDatasetType",
    "insertDatasets", "insertDimensionData", "isWriteable", "queryCollections", "queryDataIds",
    "queryDatasetAssociations", "queryDatasetTypes", "queryDatasets", "queryDimensionRecords", "refresh",
    "registerCollection", "registerDatasetType", "registerRun", "removeCollection", "removeDatasetType",
    "removeDatasets", "resetConnectionPool", "setCollectionChain", "setCollectionDocumentation",
    "syncDimensionData", "transaction",
)  # fmt: skip


@pytest.fixture(scope="module")
def migration() -> str:
    return (DOCS / "migration.md").read_text(encoding="utf-8")


def named_at_the_left(page: str) -> set[str]:
    """Return every word in the code of the first column of the tables."""
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    return {
        word
        for cell in cells
        for code in re.findall("`([^`]*)`", cell)
        for word in re.findall(r"[\w-]+", code)
    }


def test_every_command_of_before_is_in_the_table_of_what_is_typed_now(migration: str) -> None:
    assert set(COMMANDS_BEFORE) - named_at_the_left(migration) == set()


def test_every_command_that_the_table_names_exists_now(migration: str) -> None:
    cells = [line.split("|")[2] for line in migration.splitlines() if line.startswith("| ")]
    typed = {name for cell in cells for name in re.findall(r"`butler ([a-z-]+)", cell)}
    known = program.list_commands(click.Context(program))
    assert typed - set(known) == set()
    assert typed


@pytest.mark.parametrize(
    ("names", "attributes"),
    [
        (METHODS_BEFORE, {*dir(Butler), *Butler.__annotations__}),
        (REGISTRY_BEFORE, {*dir(ButlerRegistry), "defaults"}),
    ],
    ids=["butler", "registry"],
)
def test_every_method_of_before_is_here_or_in_the_table(
    migration: str, names: tuple[str, ...], attributes: set[str]
) -> None:
    assert [name for name in names if name not in attributes | named_at_the_left(migration)] == []


def documented() -> set[object]:
    """Return all that the pages of the reference take from docstrings."""
    found: set[object] = set()
    for page in ("python.md", "model.md"):
        text = (DOCS / "reference" / page).read_text(encoding="utf-8")
        for kind, name in re.findall(r"auto(class|module):: (\S+)", text):
            module = importlib.import_module(name.rpartition(".")[0] if kind == "class" else name)
            public = [name.rpartition(".")[2]] if kind == "class" else getattr(module, "__all__", [])
            found.update(id(getattr(module, each)) for each in public)
    return found


def test_everything_that_is_imported_from_the_package_has_its_place_in_the_reference() -> None:
    pages = documented()
    missing = [name for name in butler.__all__ if name != "errors" and id(getattr(butler, name)) not in pages]
    assert missing == []


@pytest.mark.parametrize("kind", [Butler, ButlerRegistry, ButlerCollections, ButlerTrash])
def test_every_public_method_says_what_it_does(kind: type) -> None:
    public = (name for name in dir(kind) if not name.startswith("_"))
    assert [name for name in public if not inspect.getdoc(getattr(kind, name))] == []


def test_every_error_has_its_reason_and_exit_code_on_the_page() -> None:
    page = errors_page()
    for reason, error in CATALOGUE.items():
        assert re.search(
            rf"## {error.__name__}\n\n\S.*?Reason `{reason}`, code \w+, exit code \d+", page, re.DOTALL
        )
    for code in ExitCode:
        assert f"| {int(code)} | {code.meaning} |" in page


def test_every_call_of_the_protocol_is_told_of() -> None:
    page = protocol_page()
    protos = (DOCS.parent / "protos" / "butler_api" / "v1").glob("*.proto")
    calls = [
        name for proto in protos for name in re.findall(r"^  rpc (\w+)\(", proto.read_text(), re.MULTILINE)
    ]
    assert len(calls) > 50
    for name in calls:
        assert re.search(rf"\*\*{name}\*\* \(.*\n\n\S", page), name


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield commands, and those of groups in their place, each with what is typed for it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        member = command.get_command(context, name)
        assert member is not None
        yield from leaves(member, f"{path} {name}")


def test_every_command_and_option_is_explained() -> None:
    page = commands_page()
    for path, command in leaves(program, "butler"):
        assert f"## {path}\n" in page
        assert command.help, path
        options = [each for each in command.params if isinstance(each, click.Option)]
        assert [option.opts for option in options if not option.help] == [], path
