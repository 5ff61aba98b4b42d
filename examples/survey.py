# SPDX-License-Identifier: BSD-3-Clause
"""A small survey of the sky: a camera of 16 detectors, and visits along a ring of constant declination.

The geometry is that of a real one. A detector's corners are the corners of its outermost pixels, brought to the
sky through the gnomonic projection about the direction in which the telescope points; under it straight edges
are great circles, so that the polygons are exact.
"""

from __future__ import annotations

__all__ = ["Field", "insert_survey", "survey_fields"]

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.time import Time
from lsst.sphgeom import ConvexPolygon, UnitVector3d

from butler import Butler, Timespan

INSTRUMENT = "RingCam"
VISIT_SYSTEM = 0

DETECTORS_ALONG_SIDE = 4
PIXELS_ALONG_SIDE = 2048
GAP_PIXELS = 96
PIXEL_RADIANS = math.radians(0.2 / 3600)

FIELDS = 24
DECLINATION_DEGREES = -28.0
FILTERS = {"RC-g": "g", "RC-r": "r", "RC-i": "i"}
"""Each physical filter and its band; a field is visited once through each."""

MIDNIGHT_AT_RA_ZERO = Time("2025-09-22T00:00:00", scale="tai")
"""The night in which right ascension 0 culminates at midnight."""
YEAR = 365.2422 * u.day
EXPOSURE = 30 * u.s
CADENCE = 40 * u.s


@dataclass(frozen=True, slots=True)
class Field:
    """A part of the sky that one pointing of the camera covers.

    Attributes
    ----------
    ra, dec, position_angle
        Of the boresight, and of the focal plane's y axis from North through East; in degrees.
    midnight
        Middle of the night in which the field is observed.
    """

    number: int
    ra: float
    dec: float
    position_angle: float
    midnight: Time

    @property
    def night(self) -> int:
        """The evening's date, as YYYYMMDD."""
        return int((self.midnight - 0.5 * u.day).strftime("%Y%m%d"))


def survey_fields() -> list[Field]:
    """Return the fields of the ring, each in the night in which it culminates at midnight."""
    return [
        Field(
            number,
            ra=360.0 * number / FIELDS,
            dec=DECLINATION_DEGREES,
            position_angle=15.0 * (number % 6),
            midnight=MIDNIGHT_AT_RA_ZERO + YEAR * number / FIELDS,
        )
        for number in range(FIELDS)
    ]


def insert_survey(butler: Butler) -> int:
    """Insert all dimension records of the survey; return how many there are."""
    return sum(
        butler.registry.insertDimensionData(element, *records) for element, records in _records().items()
    )


def _records() -> dict[str, list[dict[str, Any]]]:
    """Return the records of each dimension element, parents before children."""
    fields = survey_fields()
    visits = [visit for field in fields for visit in _visits(field)]
    instrument = {"instrument": INSTRUMENT}
    return {
        "instrument": [
            {
                "name": INSTRUMENT,
                "visit_max": 100_000,
                "exposure_max": 100_000,
                "detector_max": DETECTORS_ALONG_SIDE**2,
                "visit_system": VISIT_SYSTEM,
                "class_name": "examples.survey.RingCam",
            }
        ],
        "physical_filter": [{**instrument, "name": name, "band": band} for name, band in FILTERS.items()],
        "detector": [{**instrument, **detector} for detector in _detectors()],
        "visit_system": [{**instrument, "id": VISIT_SYSTEM, "name": "one-to-one"}],
        "day_obs": [
            {**instrument, "id": field.night, "timespan": _around(field.midnight, 24 * u.hour)}
            for field in fields
        ],
        "visit": [{**instrument, **visit} for _, visit in visits],
        "visit_system_membership": [
            {**instrument, "visit_system": VISIT_SYSTEM, "visit": visit["id"]} for _, visit in visits
        ],
        "visit_detector_region": [
            {**instrument, "visit": visit["id"], "detector": number, "region": region}
            for field, visit in visits
            for number, region in _detector_regions(field).items()
        ],
    }


def _detectors() -> Iterator[dict[str, Any]]:
    for number in range(DETECTORS_ALONG_SIDE**2):
        row, column = divmod(number, DETECTORS_ALONG_SIDE)
        name = f"S{row}{column}"
        yield {
            "id": number,
            "full_name": f"R0_{name}",
            "raft": "R0",
            "name_in_raft": name,
            "purpose": "SCIENCE",
        }


def _visits(field: Field) -> Iterator[tuple[Field, dict[str, Any]]]:
    """Yield a visit for each filter, one after the other, about midnight."""
    # Half a gap beyond the outermost detectors, so that rounding leaves none of them outside.
    half = DETECTORS_ALONG_SIDE * (PIXELS_ALONG_SIDE + GAP_PIXELS) / 2
    region = ConvexPolygon([_on_sky(field, x * half, y * half) for x in (-1, 1) for y in (-1, 1)])
    for number, physical_filter in enumerate(FILTERS, start=1):
        middle = field.midnight + CADENCE * (number - 2)
        identifier = 1000 * (field.number + 1) + number
        yield (
            field,
            {
                "id": identifier,
                "name": f"ring-{field.number:02d}-{physical_filter}",
                "physical_filter": physical_filter,
                "day_obs": field.night,
                "seq_num": number,
                "exposure_time": float(EXPOSURE.to_value(u.s)),
                "target_name": f"ring-{field.number:02d}",
                "observation_reason": "science",
                "science_program": "ring",
                "region": region,
                "timespan": _around(middle, EXPOSURE),
            },
        )


def _around(middle: Time, length: Any) -> Timespan:
    return Timespan(middle - length / 2, middle + length / 2)


def _detector_regions(field: Field) -> dict[int, ConvexPolygon]:
    return {
        number: ConvexPolygon([_on_sky(field, *corner) for corner in corners])
        for number, corners in enumerate(_corners())
    }


def _corners() -> Iterator[list[tuple[float, float]]]:
    """Yield the corners of each detector, in pixels from the middle of the focal plane, counterclockwise."""
    pitch = PIXELS_ALONG_SIDE + GAP_PIXELS
    for number in range(DETECTORS_ALONG_SIDE**2):
        row, column = divmod(number, DETECTORS_ALONG_SIDE)
        left, bottom = ((i - DETECTORS_ALONG_SIDE / 2) * pitch + GAP_PIXELS / 2 for i in (column, row))
        right, top = left + PIXELS_ALONG_SIDE, bottom + PIXELS_ALONG_SIDE
        yield [(left, bottom), (right, bottom), (right, top), (left, top)]


def _on_sky(field: Field, x: float, y: float) -> UnitVector3d:
    """Return where a point of the focal plane, in pixels, sees the sky.

    The inverse of the gnomonic projection: the point of the tangent plane, as a vector from the sphere's centre, is
    shortened to length one.
    """
    ra, dec, angle = np.radians([field.ra, field.dec, field.position_angle])
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    boresight = np.cross(east, north)
    # Seen from inside the sphere, East is to the left of North: x grows to the West.
    xi = (-x * np.cos(angle) + y * np.sin(angle)) * PIXEL_RADIANS
    eta = (x * np.sin(angle) + y * np.cos(angle)) * PIXEL_RADIANS
    return UnitVector3d(*(boresight + xi * east + eta * north))
