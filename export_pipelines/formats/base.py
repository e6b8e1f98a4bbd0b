"""What a format is: how segments become bytes, in threads, and how a file is put together.

A format is one module beside this one with a subclass of `Format` or `TextFormat`, and one line
in `formats.FORMATS`. Formats know nothing of databases, Dagster or where files go.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, Generic, Protocol, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict

from export_pipelines.artifacts import Column, ExportPlan, Part, Segment, Sheet


class Options(BaseModel):
    """A format's own options; each field's description is shown in the launchpad."""

    model_config = ConfigDict(extra="forbid", frozen=True)


OptionsT = TypeVar("OptionsT", bound=Options)


@dataclass(frozen=True)
class Encoded:
    """One segment as a format's bytes.

    Attributes:
        data: the bytes, or what the format's own file writer takes.
        warnings: sentence and how many values it is about; the same sentences are added up.
    """

    data: Any
    warnings: tuple[tuple[str, int], ...] = ()


class FileWriter(Protocol):
    """Puts the encoded segments of one file together, in their order."""

    def write(self, segment: Segment, encoded: Encoded) -> None:
        """Add the next segment."""

    def finish(self) -> None:
        """Write what comes after the last segment; the caller closes the target."""


class Format(ABC, Generic[OptionsT]):
    """One kind of file."""

    name: ClassVar[str]
    """Its name in requests and in the job's name."""

    title: ClassVar[str]
    """What people call it."""

    options: type[OptionsT]
    """Its own options."""

    compressions: tuple[str, ...]
    """The compressions it can be delivered in; the first is the default."""

    compresses_itself: ClassVar[bool] = False
    """Whether the compression is inside the file, so that its name does not change."""

    nests: ClassVar[bool] = False
    """Whether related resources are objects and arrays in a record; otherwise they are columns."""

    skips_blanks: ClassVar[bool] = False
    """Whether each record may have only the members that are not empty."""

    section_rows: ClassVar[int | None] = None
    """A file is made of sections of at most this many rows; no segment crosses them."""

    default_max_rows_per_file: ClassVar[int | None] = None
    """Rows of one file when a request does not say; None for one file."""

    @abstractmethod
    def extension(self, options: OptionsT) -> str:
        """Return the end of a file's name, with its dot."""

    def resource_types(self, asked: str, options: OptionsT) -> tuple[str, ...]:
        """Return the resource types of the sheets of a file, that asked for first."""
        del options
        return (asked,)

    @abstractmethod
    def encode(
        self, frame: pl.DataFrame, segment: Segment, sheet: Sheet, options: OptionsT
    ) -> Encoded:
        """Return a segment's rows in this format; called in many threads at once."""

    @abstractmethod
    def open(self, target: BinaryIO, part: Part, plan: ExportPlan, options: OptionsT) -> FileWriter:
        """Begin a file."""


class TextFormat(Format[OptionsT]):
    """A format whose file is a head, the segments' bytes one after the other, and a tail."""

    compressions: tuple[str, ...] = ("none", "gzip", "zstd")

    @abstractmethod
    def head(self, columns: Sequence[Column], options: OptionsT) -> bytes:
        """Return what a file begins with; the same for every file of an export."""

    def between(self, options: OptionsT) -> bytes:
        """Return what stands between two segments."""
        del options
        return b""

    def tail(self, options: OptionsT) -> bytes:
        """Return what a file ends with."""
        del options
        return b""

    def open(self, target: BinaryIO, part: Part, plan: ExportPlan, options: OptionsT) -> FileWriter:
        """Begin a file with its head."""
        del part
        target.write(self.head(plan.sheets[0].columns, options))
        return _TextWriter(target, self.between(options), self.tail(options))


class _TextWriter:
    def __init__(self, target: BinaryIO, between: bytes, tail: bytes) -> None:
        self._target = target
        self._between = between
        self._tail = tail
        self._begun = False

    def write(self, segment: Segment, encoded: Encoded) -> None:
        del segment
        if self._begun:
            self._target.write(self._between)
        self._begun = True
        self._target.write(encoded.data)

    def finish(self) -> None:
        self._target.write(self._tail)
