"""What travels between ops: small frozen references to rows and files, never the rows.

Everything here can be pickled and printed. Paths are absolute. Code that makes or reads the
files behind them is elsewhere: `spool`, `formats`, `compression`, `store`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    OBJECT = "object"
    ARRAY = "array"


@dataclass(frozen=True)
class Derivation:
    """How a column that is not stored is made when it is written.

    Attributes:
        kind: `decimal` or `formatted`: an amount as a number or a text in whole units. `fixed`:
            the same value in each row.
        cents: the column of minor units.
        currency: the column of the currency's code.
        less: a column of minor units that is taken off first; empty for none.
        value: what a fixed column holds.
    """

    kind: str
    cents: str = ""
    currency: str = ""
    less: str = ""
    value: str | int | float | bool | None = None

    @property
    def stored(self) -> tuple[str, ...]:
        """The columns it is computed from."""
        return tuple(filter(None, (self.cents, self.currency, self.less)))


@dataclass(frozen=True)
class Column:
    """One column of an export.

    Attributes:
        name: its header.
        type: the type of its values.
        derivation: how it is made when it is written; None if it is a stored column.
        source: the stored column it is; for an object one that is empty where there is none.
        columns: the members of an object, or of each object of an array.
    """

    name: str
    type: FieldType
    derivation: Derivation | None = None
    source: str = ""
    columns: tuple["Column", ...] = ()

    @property
    def stored(self) -> str:
        """The name of the stored column it is."""
        return self.source or self.name

    @property
    def is_fixed(self) -> bool:
        """Whether it holds the same value in each row, and nothing of the catalogue."""
        return self.derivation is not None and self.derivation.kind == "fixed"


@dataclass(frozen=True)
class Statement:
    """A SELECT with its bound parameters, in the dialect of one database.

    Attributes:
        sql: the text, with a placeholder for each parameter.
        parameters: placeholder name (Postgres) or position (SQLite) and value, in order.
    """

    sql: str
    parameters: tuple[tuple[str, Any], ...] = ()

    def having(self, **values: Any) -> "Statement":
        """Return the statement with other values of some parameters."""
        parameters = ((name, values.get(name, value)) for name, value in self.parameters)
        return replace(self, parameters=tuple(parameters))


class Joining(str, Enum):
    """What becomes of records that are read beside those of a sheet."""

    NESTED = "nested"
    """Those of a record become an array in it."""

    LINES = "lines"
    """Each becomes a row, with the columns of its record repeated."""

    PIVOTED = "pivoted"
    """Each becomes a value of its record, in the column that it names."""


@dataclass(frozen=True)
class Related:
    """Records that are read for each chunk of others, and joined to them.

    Attributes:
        name: the array they become, or the prefix of their columns.
        joining: what becomes of them.
        owner: the column of the others that they refer to.
        reference: their column that refers to it.
        order: their column that orders them, or that names a pivoted value's column.
        read: the columns that are read.
        stored: the columns that they add; for an array those of its objects.
        statement: the SQL that reads those of the records from `FIRST_KEY` to `LAST_KEY`.
        related: records that are joined to these first.
        headers: the columns of pivoted values, by what `order` says.
    """

    name: str
    joining: Joining
    owner: str
    reference: str
    order: str
    read: tuple[Column, ...]
    stored: tuple[Column, ...]
    statement: Statement
    related: tuple["Related", ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


FIRST_KEY = "first_key"
LAST_KEY = "last_key"


@dataclass(frozen=True)
class Sheet:
    """One resource type of an export. Only Excel files hold more than one.

    Attributes:
        resource_type: its name.
        columns: the columns that are written.
        read: the columns that its SQL reads.
        stored: the columns that are spooled, from which those written are derived.
        statement: the SQL.
        key: the column of the primary key, if there are related records.
        related: what is read beside it, and joined to it.
        skip_blanks: whether records have only the members that are not empty.
        records_count: how many records there are; None while they are not counted.
    """

    resource_type: str
    columns: tuple[Column, ...]
    read: tuple[Column, ...]
    stored: tuple[Column, ...]
    statement: Statement
    key: str = ""
    related: tuple[Related, ...] = ()
    skip_blanks: bool = False
    records_count: int | None = None

    @property
    def has_lines(self) -> bool:
        """Whether a record may be more than one row."""
        return any(related.joining is Joining.LINES for related in self.related)


@dataclass(frozen=True)
class ExtensionField:
    """A custom field of products, as the catalogue defines it."""

    id: str
    template: str
    name: str
    type: str
    template_id: str = ""

    @property
    def header(self) -> str:
        """Its column: `template:care:material`."""
        return f"template:{self.template}:{self.name}"


@dataclass(frozen=True)
class ExportRequest:
    """What somebody asked to export. `config` says what each field means."""

    format: str
    resource_type: str = "products"
    fields: Sequence[str] = ()
    exclude_fields: Sequence[str] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    fixed_columns: Mapping[str, Any] = field(default_factory=dict)
    includes: Sequence[str] = ()
    filters: Mapping[str, Any] = field(default_factory=dict)
    date_from: str = ""
    date_to: str = ""
    skip_ids: bool = False
    skip_rel_ids: bool = False
    skip_timestamps: bool = False
    skip_blanks: bool = False
    skip_amount_formats: bool = False
    dry_data: bool = False
    max_records: int | None = None
    allow_empty: bool = False
    max_rows_per_file: int | None = None
    compression: str | None = None
    file_name: str = ""
    platforms: Sequence[str | Mapping[str, Any]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Destination:
    """A platform that files are delivered to, as it was asked for; it holds no secret.

    Attributes:
        key: names its step: letters, digits and underscores.
        label: what people call it.
        asked: its name, or its type with its fields.
    """

    key: str
    label: str
    asked: str | Mapping[str, Any]


@dataclass(frozen=True)
class ExportPlan:
    """A resolved request: what is read, and which files are made of it.

    Attributes:
        run_id: the job's id, which names its folder in the export store.
        format: a registered format's name.
        options: the format's own options, complete and validated.
        request: what was asked for.
        sheets: the resource type asked for, then any further sheets.
        time_zone: of times in the request that do not say theirs.
        extensions: the custom fields of products.
        max_rows_per_file: rows of one file, or None for one file however long.
        compression: `none`, `gzip`, `zstd` or `zip`.
        file_name: name of the files without number and extension.
        part_name: template of the names of numbered files, with `{part}` in it.
        started_at: when the run began to work, ISO 8601 in UTC.
        organization: whose registered platforms are meant by their names.
        destinations: the platforms that files are delivered to.
        warnings: what was asked for and cannot be done, in sentences.
    """

    run_id: str
    request: ExportRequest
    format: str
    options: Mapping[str, Any]
    sheets: tuple[Sheet, ...]
    time_zone: str
    extensions: tuple[ExtensionField, ...]
    max_rows_per_file: int | None
    compression: str
    file_name: str
    part_name: str
    started_at: str
    organization: str = ""
    destinations: tuple[Destination, ...] = ()
    warnings: tuple[str, ...] = ()

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
