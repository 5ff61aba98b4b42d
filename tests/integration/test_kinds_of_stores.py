# SPDX-License-Identifier: BSD-3-Clause
"""Embedded repositories on stores of every kind: what the configuration says is where datasets are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from butler import Butler, errors
from tests.support.s3 import S3Server
from tests.support.survey import insert_survey, register_types

CAM = {"instrument": "Cam1"}


def make(root: Path, stores: dict[str, Any]) -> Butler:
    Butler.makeRepo(root, stores=stores)
    butler = Butler(root, run="run1")
    insert_survey(butler)
    register_types(butler)
    return butler


def test_a_chain_puts_into_the_members_that_take_a_dataset_and_reads_what_is_left(tmp_path: Path) -> None:
    members = {
        "memory": {"kind": "memory", "constraints": {"accept": ["note"]}},
        "first": {"root": "<butlerRoot>/first", "constraints": {"reject": ["blob"]}},
        "second": {"root": "<butlerRoot>/second", "constraints": {"reject": ["note"]}},
    }
    with make(tmp_path / "repo", {"main": {"kind": "chain", "members": members}}) as butler:
        butler.put({"a": 1}, "note", CAM, detector=1)
        butler.put(b"blob", "blob", CAM, detector=1)
        butler.put({"a": 2}, "summary", CAM, visit=1)
        butler.put_many([({"a": d}, "note", {**CAM, "detector": d}) for d in (2, 3)])
        there = {
            m: {p.name.split("_")[0] for p in (tmp_path / "repo" / m).rglob("[a-z]*.*")} for m in members
        }
        assert there == {"memory": set(), "first": {"note", "summary"}, "second": {"blob", "summary"}}
        for path in (tmp_path / "repo" / "first").rglob("*.json"):
            path.unlink()
        assert butler.get("note", CAM, detector=1) == {"a": 1}
        assert butler.get("note", CAM, detector=3) == {"a": 3}
        assert butler.get("summary", CAM, visit=1) == {"a": 2}
        assert butler.getURI("note", CAM, detector=1).startswith("butler://main/run1/note/")
    with Butler(tmp_path / "repo", collections="run1") as again:
        assert again.get("blob", CAM, detector=1) == b"blob"
        assert again.get("summary", CAM, visit=1) == {"a": 2}
        with pytest.raises(FileNotFoundError):
            again.get("note", CAM, detector=1)


def test_a_dataset_whose_first_copy_is_cut_off_exists_as_it_is_read(tmp_path: Path) -> None:
    members = {"first": {"root": "<butlerRoot>/first"}, "second": {"root": "<butlerRoot>/second"}}
    with make(tmp_path / "repo", {"main": {"kind": "chain", "members": members}}) as butler:
        ref = butler.put({"a": 1}, "note", CAM, detector=1)
        (copy,) = (tmp_path / "repo" / "first").rglob("note_*.json")
        copy.write_bytes(copy.read_bytes()[:-1])
        assert butler.get(ref) == {"a": 1}
        assert butler.stored(ref)
        (other,) = (tmp_path / "repo" / "second").rglob("note_*.json")
        other.unlink()
        assert not butler.stored(ref)


def test_datasets_of_an_embedded_repository_may_be_in_a_bucket(
    tmp_path: Path, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    store = {"kind": "s3", "bucket": s3_bucket, "endpoint": s3_server.endpoint, "region": "us-east-1"}
    with make(tmp_path / "repo", {"main": store}) as butler:
        big = bytes(range(256)) * 4096
        butler.put(big, "blob", CAM, detector=1)
        assert butler.get("blob", CAM, detector=1) == big
        assert butler.getURI("blob", CAM, detector=1).startswith(f"s3://{s3_bucket}/main/run1/blob/")
        with pytest.raises(errors.ConflictingDefinitionError):
            butler.put(b"", "blob", CAM, detector=1)


def test_a_store_that_is_configured_wrongly_is_refused_by_name(tmp_path: Path) -> None:
    for store, said in (
        ({"kind": "tape"}, "Store 'main'.*'tape'"),
        ({"root": "<butlerRoot>", "durrable": True}, "nearest known one is 'durable'"),
        ({"kind": "chain", "members": {"a": {"kind": "memroy"}}}, "member 'a'.*'memory'"),
    ):
        Butler.makeRepo(tmp_path / said[:5] / str(len(said)), stores={"main": store})
        with pytest.raises(errors.ConfigurationError, match=said):
            Butler(tmp_path / said[:5] / str(len(said)))
