# SPDX-License-Identifier: BSD-3-Clause
"""Pages of a query, asked for one by one."""

from __future__ import annotations

__all__ = ["pages"]

from collections.abc import Iterator

from butler_model.paging import PageRequest, ResultPage
from butler_model.ports import Queries
from butler_model.query.spec import QuerySpec


def pages(queries: Queries, spec: QuerySpec, page_rows: int = 0) -> Iterator[ResultPage]:
    """Yield the pages of a query: each row once, also while others write, but not all of one state."""
    token = b""
    while True:
        page = queries.page(spec, PageRequest(page_rows, token))
        yield page
        token = page.next_token
        if not token:
            return
