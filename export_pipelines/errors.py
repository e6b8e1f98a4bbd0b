"""The exceptions a person may see, named by what to do next.

    ExportPipelinesError
    ├── RequestError         the request asks for something that does not exist: correct it
    │   ├── NoRecords        nothing matches: loosen the filters, or fill the catalogue
    │   ├── NotRegistered    nothing of that name is registered: see the list of names
    │   ├── NameTaken        something of that name is registered: choose another, or change it
    │   └── TooManyRecords   more match than are allowed: choose fewer, or raise the limit
    ├── FileRefused          a file cannot be imported as it is: correct it, and import it again
    ├── DataError            a value cannot be written in this format: correct it or choose another
    ├── CatalogUnavailable   the database cannot be reached or has no tables: start or create it
    ├── StorageUnavailable   a disk is full, read-only or missing: make room or fix permissions
    ├── PlatformError        a delivery failed
    │   ├── PlatformUnavailable    it does not answer or broke off: it is tried again by itself
    │   ├── PlatformMisconfigured  a field of its configuration is wrong: correct that one
    │   └── PlatformRefused        it takes no file: free space or give permission over there
    ├── RegistryUnavailable  the registry's database cannot be read or written: start it
    ├── KeyUnavailable       the key of the registry's secrets is not there: put it back
    ├── TooManyExports       the organization has no room for another: wait for one to end
    ├── WorkerLost           the process of a run is gone: start it again, or resume it
    └── Interrupted          somebody stopped it: start it again

Each message is a sentence or two for the person who asked: what is wrong, where, what is allowed.
"""

import errno
from difflib import get_close_matches
from typing import Any

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SHOWN_CHARACTERS = 100


class ExportPipelinesError(Exception):
    """Something this project can explain.

    Attributes:
        code: a stable name for programs, the run's tag `export/error_code`.
        exit_code: what the command line ends with.
        worth_retrying: whether the same may succeed a little later without anybody's doing.
    """

    code = "failed"
    exit_code = 1
    worth_retrying = False


class RequestError(ExportPipelinesError):
    """The request asks for something that does not exist or does not fit together."""

    code = "request_invalid"
    exit_code = 2


class NoRecords(RequestError):
    """Nothing matches the request, so there is nothing to export."""

    code = "no_records"
    exit_code = 3


class TooManyRecords(RequestError):
    """More records match than an export may have."""

    code = "too_many_records"


class NameTaken(RequestError):
    """Something of that kind and name is registered already."""

    code = "name_taken"


class NotRegistered(RequestError):
    """Nothing of that kind and name is registered."""

    code = "not_registered"


class FileRefused(ExportPipelinesError):
    """A file cannot be imported: it is too large, damaged, of another kind, or has wrong rows."""

    code = "file_refused"
    exit_code = 11


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


class PlatformError(ExportPipelinesError):
    """Files could not be brought to a platform or to the export store, or read there."""

    code = "platform_failed"
    exit_code = 8


class PlatformUnavailable(PlatformError):
    """A platform does not answer, broke off, or holds something else than was sent."""

    code = "platform_unavailable"
    worth_retrying = True


class PlatformMisconfigured(PlatformError):
    """A platform's configuration is wrong.

    Attributes:
        field: the field to correct.
    """

    code = "platform_misconfigured"
    exit_code = 9

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class PlatformRefused(PlatformError):
    """A platform takes no file: its disk or quota is full, or the account may not write there."""

    code = "platform_refused"
    exit_code = 10


class RegistryUnavailable(ExportPipelinesError):
    """The registry's database cannot be read or written."""

    code = "registry_unavailable"
    exit_code = 13


class KeyUnavailable(ExportPipelinesError):
    """The registry's secrets cannot be read: their key is not there, or it is another one."""

    code = "key_unavailable"
    exit_code = 14


class TooManyExports(ExportPipelinesError):
    """An organization has as many exports pending or running as it may have."""

    code = "too_many_exports"
    exit_code = 7


class WorkerLost(ExportPipelinesError):
    """The process of a run was killed, or did not begin, or its machine went down."""

    code = "worker_lost"
    exit_code = 12


class Interrupted(ExportPipelinesError):
    """Somebody stopped the work before its end."""

    code = "interrupted"
    exit_code = 130


def one_of(names: "list[str] | tuple[str, ...]") -> str:
    """Return names as they end a sentence: `a, b and c`, the same for every message."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def unknown(kind: str, name: str, known: "list[str]") -> str:
    """Return the sentences for a name that does not exist: the nearest that do, then all."""
    near = get_close_matches(str(name), known, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"There is no {kind} {shown(name)}.{hint} Choose from {one_of(known)}."


def shown(value: Any) -> str:
    """Return a value as a sentence quotes it: escaped, and shortened if it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def storage_error(error: OSError) -> StorageUnavailable:
    """Say what is wrong with a disk or a folder, and what to do."""
    where = f" at {error.filename}" if error.filename else ""
    if is_disk_full(error):
        return StorageUnavailable(
            f"The disk is full{where}: make room in the staging area and the export store. "
            "Nothing was published."
        )
    reason = error.strerror or str(error)
    return StorageUnavailable(
        f"Files cannot be written{where}: {reason}. Nothing was published: correct the folder's "
        "place or permissions."
    )


def is_disk_full(error: OSError) -> bool:
    """Return whether a file could not grow: the disk, a quota or a limit of its size is reached."""
    return (error.errno or _errno_of(str(error))) in _DISK_FULL


def _errno_of(text: str) -> int:
    """Arrow's errors have the number in their text only."""
    number = (
        text.partition("[Errno ")[2].partition("]")[0]
        or text.partition("[errno ")[2].partition("]")[0]
    )
    return int(number) if number.isdigit() else 0
