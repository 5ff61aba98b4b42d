# SPDX-License-Identifier: BSD-3-Clause
"""What an operator may say of stores, and what is answered to what makes no sense."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from butler_datastore.config import (
    ChainStoreConfig,
    MemoryStoreConfig,
    PosixStoreConfig,
    S3StoreConfig,
)
from butler_datastore.settings import DatastoreSettings, store_config
from butler_model.errors import ConfigurationError
from tools.servers.process import ROOT

CHAIN = {
    "kind": "chain",
    "members": {
        "fast": {"kind": "memory", "max_bytes": 1000},
        "disk": {"root": "/data/{repository}", "shared_path": True},
        "bucket": {"kind": "s3", "bucket": "butler", "prefix": "butler/{repository}/artifacts"},
    },
}


def test_a_store_is_a_directory_unless_its_kind_says_otherwise() -> None:
    assert store_config({"root": "/data"}) == PosixStoreConfig("/data", durable=True, shared_path=False)
    assert store_config({"kind": "posix", "root": "/data", "durable": False}) == PosixStoreConfig(
        "/data", durable=False
    )


def test_a_chain_keeps_the_order_of_its_members() -> None:
    config = store_config(CHAIN)
    assert isinstance(config, ChainStoreConfig)
    assert list(config.members.items()) == [
        ("fast", MemoryStoreConfig(1000)),
        ("disk", PosixStoreConfig("/data/{repository}", shared_path=True)),
        ("bucket", S3StoreConfig("butler", prefix="butler/{repository}/artifacts")),
    ]


def test_the_repository_is_put_into_roots_and_prefixes() -> None:
    assert PosixStoreConfig("/data/{repository}/a").root_of("dev") == "/data/dev/a"
    assert S3StoreConfig("butler", prefix="a/{repository}").prefix_of("dev") == "a/dev"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("posix", "expected a table"),
        ({"kind": "s4", "bucket": "butler"}, "unknown kind 's4'; the nearest known one is 's3'"),
        ({"kind": ["s3"]}, "unknown kind"),
        ({"rot": "/data"}, "unknown key 'rot' for the kind 'posix'; the nearest known one is 'root'"),
        ({"kind": "s3", "bucket": "butler", "root": "/data"}, "unknown key 'root' for the kind 's3'"),
        ({}, "root: Field required"),
        ({"root": ""}, "no root"),
        ({"root": "/data/{user}"}, "no root"),
        ({"root": "/data", "durable": "perhaps"}, "durable: Input should be a valid boolean"),
        ({"kind": "s3"}, "bucket: Field required"),
        ({"kind": "s3", "bucket": "Not A Bucket"}, "no bucket"),
        ({"kind": "s3", "bucket": "butler", "prefix": "/a"}, "no prefix"),
        ({"kind": "s3", "bucket": "butler", "prefix": "{user}"}, "no prefix"),
        ({"kind": "s3", "bucket": "butler", "endpoint": "s3.example.org"}, "no endpoint"),
        ({"kind": "s3", "bucket": "butler", "attempts": 0}, "attempts = 0"),
        ({"kind": "s3", "bucket": "butler", "read_seconds": "soon"}, "read_seconds: Input should be"),
        ({"kind": "memory", "max_bytes": 0}, "max_bytes = 0"),
        ({"kind": "chain"}, "members: Field required"),
        ({"kind": "chain", "members": {}}, "at least one member"),
        ({"kind": "chain", "members": ["disk"]}, "members: Input should be"),
        ({"kind": "chain", "members": {"a b": {"kind": "memory"}}}, "'a b' is no name"),
        ({"kind": "chain", "members": {"disk": {"rot": "/data"}}}, "member 'disk': unknown key 'rot'"),
        ({"kind": "chain", "members": {"more": CHAIN}}, "member 'more': unknown kind 'chain'"),
    ],
)
def test_what_is_wrong_is_named(value: Any, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        store_config(value)
    assert text in caught.value.message
    assert "\n" not in caught.value.message


def test_settings_say_which_store_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUTLER_DATASTORE_SIGNING_KEYS", "keys")
    monkeypatch.setenv("BUTLER_DATASTORE_STORES", '{"good": {"root": "/data"}, "bad": {"kind": "tape"}}')
    with pytest.raises(ConfigurationError, match=r"stores\.bad: .*unknown kind 'tape'"):
        DatastoreSettings.load(None)


def test_the_manual_shows_what_is_accepted() -> None:
    text = (ROOT / "docs/stores.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    stores = tomllib.loads(example[1])["stores"]
    assert [type(store_config(store)) for store in stores.values()] == [
        PosixStoreConfig,
        S3StoreConfig,
        MemoryStoreConfig,
        ChainStoreConfig,
    ]
