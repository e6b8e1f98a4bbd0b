"""What travels between the ops of an import: references to rows, never the rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ImportRequest:
    """What somebody asked to import. `config` says what each field means."""

    resource_type: str
    files: Sequence[str] = ()
    format: str = "auto"
    encoding: str = "auto"
    delimiter: str = "auto"
    sheet: str = ""
    sanitized: bool = False
    mapping: str = ""
    locale: str = ""
    on_error: str = "abort"
    max_error_ratio: float = 0.1
    dry_run: bool = False


@dataclass(frozen=True)
class Claim:
    """One file that a run has taken.

    Attributes:
        key: names this drop of the file, for ever: of two with the same key one is applied.
        name: the file's own name.
        path: where it is while it is worked on; empty if another run had taken it.
        request: how it is imported.
        folder: its folder in the drop folder's `processing`; empty for a file that lies elsewhere
            and is left there.
    """

    key: str
    name: str
    path: str
    request: ImportRequest
    folder: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why nothing of a file is imported.

    Attributes:
        reason: a sentence or two for whoever made the file.
        code: a stable name for programs, one of the errors'.
    """

    reason: str
    code: str


@dataclass(frozen=True)
class RowSpool:
    """Rows on disk, as Arrow files.

    Attributes:
        paths: the files, in the order of the rows.
        rows: how many rows are in them.
    """

    paths: tuple[str, ...] = ()
    rows: int = 0


@dataclass(frozen=True)
class Extract:
    """What a file holds, as texts.

    Attributes:
        claim: the file.
        format: what kind of file it is.
        details: what else was found out: its encoding, its delimiter...
        headers: its headers, in their order.
        spool: its rows, with their numbers in the file.
        errors: what is wrong with rows that do not match the headers.
        broken: the cells of these rows, as far as they go.
        rows: how many rows it has, those that are wrong too.
        bytes: its size.
        sha256: of its content.
        refused: why the file cannot be imported at all.
        started_at: when it was begun to be read, ISO 8601 in UTC.
    """

    claim: Claim
    format: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    spool: RowSpool = RowSpool()
    errors: RowSpool = RowSpool()
    broken: RowSpool = RowSpool()
    rows: int = 0
    bytes: int = 0
    sha256: str = ""
    refused: Refusal | None = None
    started_at: str = ""


@dataclass(frozen=True)
class Validated:
    """A file's rows in the types of the catalogue.

    Attributes:
        extract: the file.
        columns: columns of the table that the rows have, in order.
        given_id: whether the file has ids.
        custom_ids: ids of the custom fields that it has.
        absent: columns that some rows say nothing about.
        create_only: columns that only new rows get.
        made: columns that were made for rows that do not have them, in case they are new.
        assumed_currency: what amounts were read in where a row does not say.
        headers: what the file calls each column.
        spool: the rows without error.
        custom: values of their custom fields.
        errors: everything that is wrong with the others.
        failed: how many rows have an error.
        warnings: what was left out, in sentences.
        refused: why nothing of the file can be imported.
    """

    extract: Extract
    columns: tuple[str, ...] = ()
    given_id: bool = False
    custom_ids: tuple[str, ...] = ()
    absent: frozenset[str] = frozenset()
    create_only: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    assumed_currency: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    spool: RowSpool = RowSpool()
    custom: RowSpool = RowSpool()
    errors: RowSpool = RowSpool()
    failed: int = 0
    warnings: tuple[str, ...] = ()
    refused: Refusal | None = None


@dataclass(frozen=True)
class Counts:
    """How many rows were, or with `dry_run` would be, created, updated and left as they were."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0


@dataclass(frozen=True)
class Loaded:
    """What became of a file's rows.

    Attributes:
        validated: the rows.
        counts: of those that were applied.
        failed: how many rows have an error.
        errors: everything that is wrong.
        applied: whether the catalogue has the rows; with `dry_run` it has not.
        refused: why nothing was applied.
        earlier: whether they had been applied by a run before this one, which was then killed.
    """

    validated: Validated
    counts: Counts = Counts()
    failed: int = 0
    errors: RowSpool = RowSpool()
    applied: bool = False
    refused: Refusal | None = None
    earlier: bool = False

    @property
    def extract(self) -> Extract:
        """The file."""
        return self.validated.extract

    @property
    def claim(self) -> Claim:
        """How the file was taken."""
        return self.extract.claim


Errors = list[dict[str, Any]]
"""Row errors: `row`, `column`, `value`, `code` and `reason`."""
