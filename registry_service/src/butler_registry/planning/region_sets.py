# SPDX-License-Identifier: BSD-3-Clause
"""Which records have regions that overlap a constant one."""

from __future__ import annotations

__all__ = ["region_keys"]

from typing import Any

import lsst.sphgeom
from sqlalchemy import Connection, LargeBinary, and_, or_, select, type_coerce

from butler_model.dimensions import DimensionElement
from butler_model.errors import UnsupportedOperationError
from butler_registry.storage.dimension_tables import DimensionTables

from .exact import overlap

_RANGES_PER_STATEMENT = 200


def region_keys(
    connection: Connection, tables: DimensionTables, element: DimensionElement, region: lsst.sphgeom.Region
) -> list[tuple[Any, ...]]:
    """Return the values of the required dimensions of all records of an element whose regions overlap a region.

    Candidates come from the common pixels, by their index; each is then tested exactly.
    """
    if element.name not in tables.overlaps:
        raise UnsupportedOperationError(f"{element} has no regions that are stored.", element=element.name)
    pixels, records = tables.overlaps[element.name], tables[element.name]
    common = element.universe.commonSkyPix
    assert common.skypix is not None
    system, level = common.skypix
    ranges = [(begin, end - 1) for begin, end in system.pixelization(level).envelope(region)]
    keys = [pixels.c[name] for name in element.required]
    fields = [records.c[element.field_name(name)] for name in element.required]
    found: set[tuple[Any, ...]] = set()
    for start in range(0, len(ranges), _RANGES_PER_STATEMENT):
        some = ranges[start : start + _RANGES_PER_STATEMENT]
        touched = or_(*(pixels.c[common.name].between(*each) for each in some))
        candidates = select(*keys).where(touched).distinct().subquery("candidates")
        matches = and_(*(candidates.c[k.name] == field for k, field in zip(keys, fields, strict=True)))
        query = select(*candidates.c, type_coerce(records.c.region, LargeBinary())).join_from(
            candidates, records, matches
        )
        for *key, encoded in connection.execute(query):
            if tuple(key) not in found and overlap(bytes(encoded), region):
                found.add(tuple(key))
    return sorted(found)
