"""The exceptions a person may see, named by what to do next.

    ExportPipelinesError
    ├── RequestError         the request asks for something that does not exist: correct it
    │   └── NoRecords        nothing matches: loosen the filters, or fill the catalogue
    ├── DataError            a value cannot be written in this format: correct it or choose another
    ├── CatalogUnavailable   the database cannot be reached or has no tables: start or create it
    └── StorageUnavailable   a disk is full, read-only or missing: make room or fix permissions

Each message is a sentence or two for the person who asked: what is wrong, where, what is allowed.
"""

from difflib import get_close_matches


class ExportPipelinesError(Exception):
    """Something this project can explain.

    Attributes:
        code: a stable name for programs, the run's tag `export/error_code`.
        exit_code: what the command line ends with.
    """

    code = "failed"
    exit_code = 1


class RequestError(ExportPipelinesError):
    """The request asks for something that does not exist or does not fit together."""

    code = "request_invalid"
    exit_code = 2


class NoRecords(RequestError):
    """Nothing matches the request, so there is nothing to export."""

    code = "no_records"
    exit_code = 3


class DataError(ExportPipelinesError):
    """The catalogue holds a value that cannot be written as asked."""

    code = "data_invalid"
    exit_code = 6


class CatalogUnavailable(ExportPipelinesError):
    """The catalogue's database cannot be reached, or has none of the tables."""

    code = "catalog_unavailable"
    exit_code = 4


class StorageUnavailable(ExportPipelinesError):
    """Files cannot be written: a disk is full, read-only or missing."""

    code = "storage_unavailable"
    exit_code = 5


def one_of(names: "list[str] | tuple[str, ...]") -> str:
    """Return names as they end a sentence: `a, b and c`, the same for every message."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def unknown(kind: str, name: str, known: "list[str]") -> str:
    """Return the sentences for a name that does not exist: the nearest that do, then all."""
    near = get_close_matches(str(name), known, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"There is no {kind} {name!r}.{hint} Choose from {one_of(known)}."
