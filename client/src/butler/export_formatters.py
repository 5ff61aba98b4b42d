# SPDX-License-Identifier: BSD-3-Clause
"""Which formatter of the older library reads the files of which of ours, and the other way round."""

from __future__ import annotations

__all__ = ["KNOWN_LABELS", "extension_of", "foreign_name", "label_of"]

from pathlib import PurePosixPath

from .export_blocks import FileEntry

_PACKAGE = "lsst.daf.butler.formatters"
_FOREIGN = {
    "json": f"{_PACKAGE}.json.JsonFormatter",
    "yaml": f"{_PACKAGE}.yaml.YamlFormatter",
    "parquet": f"{_PACKAGE}.parquet.ParquetFormatter",
    "ecsv": f"{_PACKAGE}.astropyTable.AstropyTableFormatter",
    "matplotlib": f"{_PACKAGE}.matplotlib.MatplotlibFormatter",
    "pickle": f"{_PACKAGE}.pickle.PickleFormatter",
}
"""By label, the dotted name of the class of the older library that reads the same files."""

_EXPOSURE = "lsst.obs.base.formatters.fitsExposure.FitsExposureFormatter"
"""What reads FITS files there, if the storage class is an exposure; it has no formatter for all of them."""

KNOWN_LABELS = ("json", "yaml", "parquet", "ecsv", "fits", "npy", "text", "bytes", "matplotlib", "pickle")
"""Formatters that read what the class of like name in another library wrote; `JsonFormatter` and such."""

_EXTENSIONS = {
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".parq": "parquet",
    ".parquet": "parquet",
    ".ecsv": "ecsv",
    ".fits": "fits",
    ".fits.gz": "fits",
    ".fits.fz": "fits",
    ".npy": "npy",
    ".txt": "text",
    ".bin": "bytes",
}


def foreign_name(label: str, storage_class: str) -> str | None:
    """Return the dotted name under which the older library knows what reads a file, `None` if it has nothing.

    It refuses a whole export for a name that it cannot import, so no name is better than one of ours.
    """
    if label == "fits" and storage_class.startswith("Exposure"):
        return _EXPOSURE
    return _FOREIGN.get(label)


def label_of(file: FileEntry) -> str | None:
    """Return the label of the formatter that reads a file of an export, `None` if nobody knows."""
    if file.label is not None:
        return file.label
    class_name = (file.formatter or "").rpartition(".")[2].lower()
    named = next((label for label in KNOWN_LABELS if label in class_name), None)
    return named or _EXTENSIONS.get(_known_extension(file.path))


def extension_of(file: FileEntry) -> str:
    """Return the end of a file's name that belongs to its format, or else what follows its last dot."""
    return _known_extension(file.path) or PurePosixPath(file.path).suffix


def _known_extension(path: str) -> str:
    name = path.rpartition("/")[2].lower()
    return max((e for e in _EXTENSIONS if name.endswith(e)), key=len, default="")
