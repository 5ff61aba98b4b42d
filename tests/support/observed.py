# SPDX-License-Identifier: BSD-3-Clause
"""A repository to ask questions of: cameras, visits on the sky and in time, datasets in every kind of collection."""

from __future__ import annotations

__all__ = ["DAY", "START", "observe", "register_type", "square"]

from collections.abc import Sequence
from typing import Any

import lsst.sphgeom

from butler import Butler, CollectionType, DatasetType, Timespan

DAY = 86_400 * 10**9
START = 18_262 * DAY
"""2020-01-01 in TAI nanoseconds since 1970."""

_TYPES = {
    "bias": (("instrument", "detector"), True),
    "raw": (("instrument", "exposure", "detector"), False),
    "calexp": (("instrument", "visit", "detector"), False),
    "coadd": (("skymap", "tract", "patch", "band"), False),
    "log": ((), False),
}


def square(ra: float, dec: float, size: float = 1.0) -> lsst.sphgeom.ConvexPolygon:
    """Return a square, given its lower left corner and its size in degrees."""
    corners = [(ra, dec), (ra + size, dec), (ra + size, dec + size), (ra, dec + size)]
    return lsst.sphgeom.ConvexPolygon(
        [lsst.sphgeom.UnitVector3d(lsst.sphgeom.LonLat.fromDegrees(*corner)) for corner in corners]
    )


def register_type(
    butler: Butler, name: str, dimensions: Sequence[str], *, is_calibration: bool = False
) -> None:
    """Register a dataset type of dictionaries."""
    butler.registry.registerDatasetType(
        DatasetType(
            name,
            dimensions,
            "StructuredDataDict",
            universe=butler.dimensions,
            isCalibration=is_calibration,
        )
    )


def observe(butler: Butler) -> None:
    """Fill an empty repository.

    Cam1 has detectors 1 to 4 and visits 1 to 6, one every twelve hours from `START` for an hour; visit n is at right
    ascension 10 n and exposes for 30 n seconds, visit 6 has neither region nor exposure time. Exposures are 10 + visit.
    Cam2 has detectors 1 and 2, and visits 1 and 2 at the places and times of those of Cam1. Tract n of the sky map
    holds visit n of both, for n of 1 to 3, and has two patches: 0 holds the visit, 1 touches nothing.

    Biases of Cam1 are in ``run1`` (detectors 1 and 2) and ``run2`` (2 and 3), the ones of ``run1`` certified in
    ``calib`` for the first day, those of ``run2`` for all time after. Calexps of visits 1 and 2, detectors 1 and 2, are
    in ``run1``, of visit 2, detector 2, also in ``run2``. ``tag`` has the bias of ``run2`` for detector 2, ``chain`` is
    ``run2`` and ``run1``. Each run has a log.
    """
    _insert_camera(butler, "Cam1", detectors=4, visits=6)
    _insert_camera(butler, "Cam2", detectors=2, visits=2)
    insert = butler.registry.insertDimensionData
    insert("skymap", {"name": "Sky1", "hash": b"\1", "tract_max": 3})
    for tract in (1, 2, 3):
        insert("tract", {"skymap": "Sky1", "id": tract, "region": square(10.0 * tract - 1, -1.0, 3.0)})
        for patch, ra in ((0, 10.0 * tract), (1, 10.0 * tract + 1.5)):
            insert(
                "patch",
                {"skymap": "Sky1", "tract": tract, "id": patch, "cell_x": patch, "cell_y": 0}
                | {"region": square(ra - 0.2, -0.2, 1.5 if patch == 0 else 0.4)},
            )
    _put_datasets(butler)


def _insert_camera(butler: Butler, camera: str, *, detectors: int, visits: int) -> None:
    insert = butler.registry.insertDimensionData
    cam = {"instrument": camera}
    insert("instrument", {"name": camera, "detector_max": 10, "visit_max": 100, "exposure_max": 100})
    filters = [("G", "g"), ("R1", "r"), ("R2", "r")]
    insert("physical_filter", *({**cam, "name": f"{camera}-{name}", "band": band} for name, band in filters))
    names = ["Aa", "Ab", "Ba", "Bb"][:detectors]
    insert(
        "detector",
        *(
            {
                **cam,
                "id": i,
                "full_name": name,
                "raft": name[0],
                "name_in_raft": name[1],
                "purpose": "SCIENCE",
            }
            for i, name in enumerate(names, start=1)
        ),
    )
    for number in range(1, visits + 1):
        _insert_visit(butler, camera, number)


def _insert_visit(butler: Butler, camera: str, number: int) -> None:
    insert = butler.registry.insertDimensionData
    cam = {"instrument": camera}
    day = 20200101 + (number - 1) // 2
    insert("day_obs", {**cam, "id": day}, skip_existing=True)
    insert("group", {**cam, "name": f"g{number}"})
    begin = START + (number - 1) * DAY // 2
    shared: dict[str, Any] = {
        **cam,
        "day_obs": day,
        "seq_num": (number - 1) % 2 + 1,
        "physical_filter": f"{camera}-{('G', 'R1', 'R2')[number % 3]}",
        "exposure_time": None if number == 6 else 30.0 * number,
        "science_program": f"prog_{number}%",
        "timespan": Timespan.from_nsec(begin, begin + DAY // 24),
    }
    insert("exposure", {**shared, "id": 10 + number, "obs_id": f"e{number}", "group": f"g{number}"})
    region = None if number == 6 else square(10.0 * number, 0.0)
    insert("visit", {**shared, "id": number, "name": f"v{number}", "region": region})
    insert("visit_definition", {**cam, "visit": number, "exposure": 10 + number})


def _put_datasets(butler: Butler) -> None:
    registry = butler.registry
    for name, (dimensions, is_calibration) in _TYPES.items():
        register_type(butler, name, dimensions, is_calibration=is_calibration)
    cam = {"instrument": "Cam1"}
    runs: dict[str, list[tuple[Any, str, dict[str, Any]]]] = {
        "run1": [
            *(({"run": 1}, "bias", {**cam, "detector": d}) for d in (1, 2)),
            *(({"run": 1}, "calexp", {**cam, "visit": v, "detector": d}) for v in (1, 2) for d in (1, 2)),
            ({"run": 1}, "log", {}),
        ],
        "run2": [
            *(({"run": 2}, "bias", {**cam, "detector": d}) for d in (2, 3)),
            ({"run": 2}, "calexp", {**cam, "visit": 2, "detector": 2}),
            ({"run": 2}, "log", {}),
        ],
    }
    for run, items in runs.items():
        registry.registerRun(run)
        butler.put_many(items, run=run)
    registry.registerCollection("tag", CollectionType.TAGGED)
    registry.associate(
        "tag", registry.queryDatasets("bias", collections="run2", instrument="Cam1", detector=2)
    )
    registry.registerCollection("chain", CollectionType.CHAINED)
    registry.setCollectionChain("chain", ["run2", "run1"])
    registry.registerCollection("calib", CollectionType.CALIBRATION)
    for run, begin, end in (("run1", START, START + DAY), ("run2", START + DAY, None)):
        biases = registry.queryDatasets("bias", collections=run)
        registry.certify("calib", biases, Timespan.from_nsec(begin, end))
