# SPDX-License-Identifier: BSD-3-Clause
"""A small survey to put datasets of: one camera, two nights, and a sky map."""

from __future__ import annotations

__all__ = ["insert_survey", "register_types"]

from collections.abc import Mapping

from butler import Butler, DatasetType, Timespan

NIGHT = 86_400 * 10**9
FIRST_NIGHT = 18_262 * NIGHT
"""2020-01-01 in TAI nanoseconds since 1970."""

TYPES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "note": (("instrument", "detector"), "StructuredDataDict"),
    "summary": (("instrument", "visit"), "StructuredDataDict"),
    "calexp": (("instrument", "visit", "detector"), "StructuredDataDict"),
    "raw": (("instrument", "exposure", "detector"), "StructuredDataDict"),
    "catalog": (("instrument", "visit", "detector"), "ArrowTable"),
    "frame": (("instrument", "detector"), "DataFrame"),
    "coadd": (("skymap", "tract", "patch", "band"), "StructuredDataDict"),
    "log": ((), "Text"),
    "blob": (("instrument", "detector"), "Bytes"),
}
"""Name of each dataset type, its dimensions and storage class."""


def insert_survey(butler: Butler, instrument: str = "Cam1") -> None:
    """Insert a camera with four detectors and three filters, two visits and exposures, and a sky map."""
    registry = butler.registry
    registry.insertDimensionData(
        "instrument",
        {
            "name": instrument,
            "visit_max": 100,
            "exposure_max": 100,
            "detector_max": 10,
            "class_name": "tests.Camera",
        },
    )
    registry.insertDimensionData(
        "physical_filter",
        {"instrument": instrument, "name": f"{instrument}-G", "band": "g"},
        {"instrument": instrument, "name": f"{instrument}-R1", "band": "r"},
        {"instrument": instrument, "name": f"{instrument}-R2", "band": "r"},
    )
    registry.insertDimensionData(
        "detector",
        *[
            {
                "instrument": instrument,
                "id": number,
                "full_name": name,
                "name_in_raft": name[1],
                "raft": name[0],
                "purpose": "SCIENCE",
            }
            for number, name in enumerate(("Aa", "Ab", "Ba", "Bb"), start=1)
        ],
    )
    for number, night in ((1, 20200101), (2, 20200102)):
        _insert_night(butler, instrument, number, night)
    if instrument == "Cam1":
        _insert_sky_map(butler)


def _insert_night(butler: Butler, instrument: str, number: int, night: int) -> None:
    begin = FIRST_NIGHT + number * NIGHT
    shared = {
        "instrument": instrument,
        "day_obs": night,
        "physical_filter": f"{instrument}-{('G', 'R1')[number - 1]}",
    }
    insert = butler.registry.insertDimensionData
    insert(
        "day_obs",
        {"instrument": instrument, "id": night, "timespan": Timespan.from_simple([begin, begin + NIGHT])},
    )
    insert("group", {"instrument": instrument, "name": f"group{number}"})
    span = Timespan.from_simple([begin, begin + 30 * 10**9])
    insert(
        "exposure",
        {
            **shared,
            "id": 10 + number,
            "obs_id": f"HCA{number}",
            "group": f"group{number}",
            "seq_num": 7,
            "exposure_time": 30.0,
            "timespan": span,
        },
    )
    insert(
        "visit",
        {**shared, "id": number, "name": f"v{number}", "seq_num": 7, "exposure_time": 30.0, "timespan": span},
    )


def _insert_sky_map(butler: Butler) -> None:
    insert = butler.registry.insertDimensionData
    insert(
        "skymap", {"name": "Sky1", "hash": b"\x01\x02", "tract_max": 2, "patch_nx_max": 2, "patch_ny_max": 2}
    )
    insert("tract", {"skymap": "Sky1", "id": 0})
    insert("patch", {"skymap": "Sky1", "tract": 0, "id": 5, "cell_x": 1, "cell_y": 2})


def register_types(butler: Butler) -> None:
    """Register the dataset types of the survey."""
    for name, (dimensions, storage_class) in TYPES.items():
        butler.registry.registerDatasetType(
            DatasetType(name, dimensions, storage_class, universe=butler.dimensions)
        )
