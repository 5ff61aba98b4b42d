# SPDX-License-Identifier: BSD-3-Clause
"""HDF5: arrays in chunks, of which a reader moves only those that it needs."""

from __future__ import annotations

__all__ = ["Hdf5Formatter"]

from collections.abc import Mapping
from types import MappingProxyType
from typing import BinaryIO

import h5py
import numpy as np

from .formatter import Formatter
from .slicing import slices_within

_NAME = "data"
# The oldest version whose metadata have checksums throughout.
_VERSION = "v110"


class Hdf5Formatter(Formatter):
    """A NumPy array as the dataset ``data`` of an HDF5 file.

    The parameter ``slices`` (see `slices_within`) reads a part, and moves only the chunks that hold it. The component
    ``shape`` is the shape. Write parameters are ``chunks`` (a length for each axis; chosen by the library if not
    given), ``compression``, its ``compression_level``, and ``shuffle``, which makes numbers compress better. All are
    lossless, and every chunk has a checksum.
    """

    label = "hdf5"
    extension = ".h5"
    components = frozenset({"shape"})
    parameters = frozenset({"slices"})
    write_parameters = MappingProxyType(
        {
            "chunks": (list, tuple),
            "compression": ("gzip", "lzf"),
            "compression_level": tuple(range(10)),
            "shuffle": (bool,),
        }
    )
    write_recipes = MappingProxyType({"compressed": {"compression": "gzip", "shuffle": True}})

    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        # Subclasses carry what the format has no place for: masks, units.
        if type(obj) is not np.ndarray:
            raise self.refusal(f"takes a plain numpy.ndarray, not a {type(obj).__qualname__}.")
        if obj.ndim == 0 or obj.size == 0 or obj.dtype.hasobject:
            raise self.refusal(
                f"an array of {obj.dtype} and shape {obj.shape} has no chunks; NumPy's own format keeps it."
            )
        with h5py.File(sink, "w", libver=_VERSION) as file:
            dataset = file.create_dataset(
                _NAME,
                data=obj,
                chunks=tuple(chunks)
                if isinstance(chunks := parameters.get("chunks"), list | tuple)
                else True,
                compression=parameters.get("compression"),
                compression_opts=parameters.get("compression_level"),
                shuffle=parameters.get("shuffle", False),
                fletcher32=True,
            )
            if dataset.dtype != obj.dtype:
                raise self.refusal(f"{obj.dtype} would come back as {dataset.dtype}.")

    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        with h5py.File(source, "r") as file:
            dataset = _own_dataset(file)
            if component is not None:
                if parameters:
                    raise self.refusal("the shape takes no parameters.")
                return list(dataset.shape)
            if "slices" in parameters:
                return dataset[slices_within(parameters["slices"], dataset.shape)]
            return dataset[...]


def _own_dataset(file: h5py.File) -> h5py.Dataset:
    """Return the dataset, known to be in this file: HDF5 would open any other file that a link or a layout names."""
    if (
        not isinstance(file.get(_NAME, getlink=True), h5py.HardLink)
        or file.get(_NAME, getclass=True) is not h5py.Dataset
    ):
        raise ValueError(f"the file has no dataset {_NAME!r} of its own")
    dataset = file[_NAME]
    if dataset.is_virtual or dataset.external:
        raise ValueError("the values are in another file")
    return dataset
