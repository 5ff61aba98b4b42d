# SPDX-License-Identifier: BSD-3-Clause
"""What a formatter is."""

from __future__ import annotations

__all__ = ["NO_PARAMETERS", "Formatter"]

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import BinaryIO, ClassVar

from butler_model.errors import ButlerError, FormatterError, StorageClassError

from .write_parameters import Accepted, check_write_parameters

NO_PARAMETERS: Mapping[str, object] = MappingProxyType({})


class Formatter(ABC):
    """Writes objects as bytes of one format, and reads them back; has no state, so threads may share it.

    A subclass defines `encode` and `decode`. They may raise whatever the library of the format raises;
    callers of `write` and `read` see errors of the catalogue only.
    """

    label: ClassVar[str]
    """What the registry records of an artifact, e.g. ``parquet``; the name of the entry point."""
    extension: ClassVar[str]
    """End of an artifact's name, e.g. ``.parq``."""
    other_extensions: ClassVar[tuple[str, ...]] = ()
    """How else the name of a file may end that this formatter reads."""
    components: ClassVar[frozenset[str]] = frozenset()
    """Components that can be read without the rest."""
    parameters: ClassVar[frozenset[str]] = frozenset()
    """Parameters that a reader may pass."""
    write_parameters: ClassVar[Mapping[str, Accepted]] = MappingProxyType({})
    """Parameters that a configuration may give for writing, each with the types and values it accepts."""
    write_recipes: ClassVar[Mapping[str, Mapping[str, object]]] = MappingProxyType({})
    """Sets of write parameters that a configuration can name; it may add more."""

    def extension_of(self, path: str) -> str:
        """Return that extension of this formatter, the longest one, in which a file's name ends.

        Raises `FormatterError` if it ends in none.
        """
        known = (self.extension, *self.other_extensions)
        name = path.rpartition("/")[2].lower()
        found = max((each for each in known if name.endswith(each)), key=len, default=None)
        if found is None:
            raise self.refusal(f"{path!r:.300} is no file of mine, whose names end in {', '.join(known)}.")
        return found

    @abstractmethod
    def encode(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object]) -> None:
        """Write an object; see `write`. The parameters are among those declared."""

    @abstractmethod
    def decode(
        self, source: BinaryIO, pytype: type, component: str | None, parameters: Mapping[str, object]
    ) -> object:
        """Read an object; see `read`. The component and parameters are among those declared."""

    def write(self, obj: object, sink: BinaryIO, parameters: Mapping[str, object] = NO_PARAMETERS) -> None:
        """Write an object so that reading gives an equal one.

        Parameters
        ----------
        sink
            Empty, seekable and readable. Where its position is afterwards is not said.
        parameters
            How to write, by the names of `write_parameters`.

        Raises
        ------
        ConfigurationError
            Raised if this formatter does not take such parameters.
        FormatterError
            Raised if the object is of the wrong type, or holds something that the format would change or
            lose. What the sink holds by then is of no use.
        """
        check_write_parameters(self.label, parameters, self.write_parameters)
        try:
            self.encode(obj, sink, parameters)
        except (ButlerError, MemoryError):
            raise
        except Exception as error:
            raise FormatterError(
                f"Formatter {self.label!r} cannot write this {type(obj).__qualname__}: "
                f"{error or type(error).__name__}",
                formatter=self.label,
            ) from error

    def read(
        self,
        source: BinaryIO,
        pytype: type,
        component: str | None = None,
        parameters: Mapping[str, object] = NO_PARAMETERS,
    ) -> object:
        """Read an object, or part of it.

        Parameters
        ----------
        source
            Seekable; only what is needed is read where the format allows. It is not closed, and what is
            returned does not depend on it.
        pytype
            Python type wanted; of the component, if one is given.
        component
            Read this component only.
        parameters
            Restrict what is read.

        Raises
        ------
        StorageClassError
            Raised if this formatter does not know the component or a parameter.
        FormatterError
            Raised if the bytes are not of the format, or do not hold an object of that type.
        """
        if component is not None:
            self._check_known("component", [component], self.components)
        self._check_known("parameter", parameters, self.parameters)
        try:
            obj = self.decode(source, pytype, component, parameters)
        except (ButlerError, MemoryError):
            raise
        except Exception as error:
            raise FormatterError(
                f"Formatter {self.label!r} cannot read these bytes, maybe corrupt or of another format: "
                f"{error or type(error).__name__}",
                formatter=self.label,
            ) from error
        if not isinstance(obj, pytype):
            raise self.refusal(f"holds a {type(obj).__qualname__}, not a {pytype.__qualname__}.")
        return obj

    def refusal(self, why: str) -> FormatterError:
        """Make an error that names this formatter."""
        return FormatterError(f"Formatter {self.label!r}: {why}", formatter=self.label)

    def _check_known(self, what: str, names: Collection[str], known: frozenset[str]) -> None:
        if unknown := set(names) - known:
            raise StorageClassError(
                f"Formatter {self.label!r} has no {what} {', '.join(map(repr, sorted(unknown)))}; "
                f"it knows {', '.join(sorted(known)) or 'none'}.",
                formatter=self.label,
            )
