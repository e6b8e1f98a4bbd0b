"""What travels between ops: small frozen references to rows and files, never the rows.

Everything here can be pickled and printed. Paths are absolute. Code that makes or reads the
files behind them is elsewhere: `spool`, `formats`, `compression`, `store`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class FieldType(str, Enum):
    """The types a column can have in every database and every format."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    JSON = "json"
    LIST = "list"


@dataclass(frozen=True)
class Derivation:
    """How a column is computed from others when it is written.

    Attributes:
        kind: `decimal` or `formatted`: an amount as a number or a text in whole units.
        cents: the column of minor units.
        currency: the column of the currency's code.
    """

    kind: str
    cents: str
    currency: str


@dataclass(frozen=True)
class Column:
    """One column of an export: its header, the type of its values and how it is computed."""

    name: str
    type: FieldType
    derivation: Derivation | None = None


@dataclass(frozen=True)
class Statement:
    """A SELECT with its bound parameters, in the dialect of one database.

    Attributes:
        sql: the text, with a placeholder for each parameter.
        parameters: placeholder name (Postgres) or position (SQLite) and value, in order.
    """

    sql: str
    parameters: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Sheet:
    """One resource type of an export. Only Excel files hold more than one.

    Attributes:
        resource_type: its name.
        columns: the columns that are written.
        stored: the columns that are read, from which the others are derived.
        statement: the SQL that reads them.
        records_count: how many records there are; None while they are not counted.
    """

    resource_type: str
    columns: tuple[Column, ...]
    stored: tuple[Column, ...]
    statement: Statement
    records_count: int | None = None


@dataclass(frozen=True)
class ExportPlan:
    """A resolved request: what is read, and which files are made of it.

    Attributes:
        run_id: the job's id, which names its folder in the export store.
        format: a registered format's name.
        options: the format's own options, complete and validated.
        sheets: the resource type asked for, then any further sheets.
        filters: the filters as they were asked for.
        max_rows_per_file: rows of one file, or None for one file however long.
        compression: `none`, `gzip`, `zstd` or `zip`.
        file_name: name of the files without number and extension.
        started_at: when the run began to work, ISO 8601 in UTC.
    """

    run_id: str
    format: str
    options: Mapping[str, Any]
    sheets: tuple[Sheet, ...]
    filters: Mapping[str, Any]
    max_rows_per_file: int | None
    compression: str
    file_name: str
    started_at: str

    @property
    def resource_type(self) -> str:
        """The resource type asked for."""
        return self.sheets[0].resource_type

    @property
    def records_count(self) -> int:
        """Records of the resource type asked for; 0 while they are not counted."""
        return self.sheets[0].records_count or 0


@dataclass(frozen=True)
class Segment:
    """Rows that one thread works on: a spool file in Arrow's IPC format.

    Attributes:
        path: the spool file.
        sheet: index of the sheet in the plan.
        first_row: where the rows begin in their sheet of their file, from 0.
        rows: number of rows.
    """

    path: str
    sheet: int
    first_row: int
    rows: int


@dataclass(frozen=True)
class Part:
    """The rows of one output file, in order."""

    number: int
    segments: tuple[Segment, ...]

    @property
    def rows(self) -> int:
        """Rows of the resource type asked for; further sheets do not count."""
        return sum(segment.rows for segment in self.segments if segment.sheet == 0)


@dataclass(frozen=True)
class Shard:
    """The parts that one mapped step works on."""

    number: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class StagedFile:
    """A whole file in the staging area.

    Attributes:
        path: where it is now.
        name: its final name.
        rows: data rows in it, without headers.
        bytes: its size.
        sha256: hexadecimal digest of its content; empty until it is compressed.
        warnings: what had to be changed to fit the format, in sentences.
    """

    path: str
    name: str
    rows: int
    bytes: int
    sha256: str = ""
    warnings: tuple[str, ...] = ()


def export_asset_key(resource_type: str, format_name: str) -> list[str]:
    """Return the key of the asset that an export in a format is reported as."""
    return ["exports", resource_type, format_name]
