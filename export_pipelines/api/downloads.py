"""Answers that are files: whole or in ranges, or several as a ZIP archive, in constant memory."""

import base64
import hashlib
import re
import secrets
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO
from urllib.parse import quote

from anyio import to_thread
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from export_pipelines.api.outward import SENDERS
from export_pipelines.clock import seconds_of
from export_pipelines.errors import StorageUnavailable
from export_pipelines.resources import ExportStore
from export_pipelines.runs.files import Download, find_download
from export_pipelines.runs.views import ExportJob, JobFile
from export_pipelines.runs.zip_stream import Entry, zip_stream

PIECE_BYTES = 256 << 10
"""How much of a file is in memory at a time."""

CONTENT_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".gz": "application/gzip",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".zip": "application/zip",
    ".zst": "application/zstd",
}
"""By the last ending of a file's name: what is compressed stays so."""

_ANY_BYTES = "application/octet-stream"
_MOST_RANGES = 100
_RANGE = re.compile(r"([0-9]{0,100})-([0-9]{0,100})")


@dataclass(frozen=True)
class _Range:
    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


def download(
    job: ExportJob,
    part: str,
    headers: Mapping[str, str],
    *,
    head: bool = False,
    signed: bool = False,
    store: ExportStore | None = None,
) -> Response:
    """Return an export's file, several as a ZIP archive, or the way to a platform that has it.

    It waits for disks and platforms: call it in a thread.

    Args:
        job: the export.
        part: the name of one of its files; empty for all.
        headers: of the request, whatever the case of their names: `If-None-Match`,
            `If-Modified-Since`, `Range` and `If-Range` are followed.
        head: whether only headers are wanted.
        signed: whether the request came by a signed link, so that nobody may keep the answer.
        store: where the files are; that of the settings by default.

    Raises:
        NotCompleted: it is pending or running.
        NoFiles: it failed or was cancelled.
        FilesRemoved: its files were removed, as they were old.
        NotRegistered: it has no such file.
        StorageUnavailable: a file is not in the store, or is another one than was put there.
        RequestError: the store is a platform that is disabled.
        PlatformError: the store is a platform that fails.
    """
    found = find_download(job, part, store)
    if found.link and not head:
        return RedirectResponse(found.link, 307, {"Cache-Control": "private, no-store"})
    described = _described(found, signed=signed)
    if _is_known(headers, described):
        return _unchanged(described)
    if len(found.files) > 1:
        return _archive(found, described, head=head)
    return _file(found, headers, described, head=head)


def disposition(name: str) -> str:
    """Return the header that has a file saved under its name (RFC 6266)."""
    plain = re.sub(r"[^ !#-$&-\[\]-~]", "_", name)
    if plain == name:
        return f'attachment; filename="{name}"'
    coded = quote(name, safe="", errors="replace")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{coded}"


def _described(found: Download, *, signed: bool) -> dict[str, str]:
    """Return what is said of a file, or of an archive of several, however it is sent."""
    job = found.job
    if len(found.files) > 1:
        name, tag = f"{job.resource_type}.zip", f'W/"{_digest_of_all(found.files)}"'
    else:
        name, tag = found.files[0].name, f'"{found.files[0].sha256}"'
    described = {
        "Content-Type": CONTENT_TYPES.get(PurePosixPath(name).suffix.lower(), _ANY_BYTES),
        "Content-Disposition": disposition(name),
        "X-Content-Type-Options": "nosniff",
        "ETag": tag,
        "Cache-Control": "private, no-store" if signed else "private, no-cache",
    }
    if job.completed_at:
        described["Last-Modified"] = formatdate(seconds_of(job.completed_at), usegmt=True)
    return described


def _digest_of_all(files: Sequence[JobFile]) -> str:
    lines = "".join(f"{file.sha256} {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _archive(found: Download, described: dict[str, str], *, head: bool) -> Response:
    described["Accept-Ranges"] = "none"
    if head:
        return StreamingResponse((), headers=described)
    entries = [Entry(file.name, file.bytes, partial(found.open_file, file)) for file in found.files]
    return _Sent(zip_stream(entries), described)


def _file(
    found: Download, headers: Mapping[str, str], described: dict[str, str], *, head: bool
) -> Response:
    (file,) = found.files
    digest = base64.b64encode(bytes.fromhex(file.sha256)).decode()
    described |= {
        "Accept-Ranges": "bytes",
        "Digest": f"sha-256={digest}",
        "Repr-Digest": f"sha-256=:{digest}:",
    }
    if head:
        return Response(headers={**described, "Content-Length": str(file.bytes)})
    ranges = _asked(headers, described, file.bytes)
    if ranges == []:
        unsatisfied = {"Accept-Ranges": "bytes", "Content-Range": f"bytes */{file.bytes}"}
        return Response(status_code=416, headers=unsatisfied)
    return _opened(found, file, ranges, described)


def _opened(
    found: Download, file: JobFile, ranges: list[_Range] | None, described: dict[str, str]
) -> Response:
    whole = _Range(0, file.bytes)
    source = found.open_file(file)
    if ranges is None:
        described["Content-Length"] = str(whole.size)
        return _Sent(_pieces(source, whole), described, source=source)
    if len(ranges) == 1:
        described["Content-Range"] = _content_range(ranges[0], whole)
        described["Content-Length"] = str(ranges[0].size)
        return _Sent(_pieces(source, ranges[0]), described, 206, source)
    boundary = secrets.token_hex(16)
    heads = [
        f"--{boundary}\r\nContent-Type: {described['Content-Type']}\r\n"
        f"Content-Range: {_content_range(each, whole)}\r\n\r\n".encode()
        for each in ranges
    ]
    end = f"--{boundary}--\r\n".encode()
    length = len(end) + sum(
        len(head) + each.size + len(b"\r\n") for head, each in zip(heads, ranges, strict=True)
    )
    described["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    described["Content-Length"] = str(length)
    return _Sent(_multipart(source, heads, ranges, end), described, 206, source)


def _content_range(part: _Range, whole: _Range) -> str:
    return f"bytes {part.start}-{part.end - 1}/{whole.size}"


def _multipart(
    source: BinaryIO, heads: Sequence[bytes], ranges: Sequence[_Range], end: bytes
) -> Generator[bytes, None, None]:
    for head, each in zip(heads, ranges, strict=True):
        yield head
        yield from _pieces(source, each)
        yield b"\r\n"
    yield end


def _pieces(source: BinaryIO, part: _Range) -> Generator[bytes, None, None]:
    source.seek(part.start)
    left = part.size
    while left:
        piece = source.read(min(PIECE_BYTES, left))
        if not piece:
            raise StorageUnavailable("A file became shorter while it was sent: download it again.")
        left -= len(piece)
        yield piece


def _is_known(headers: Mapping[str, str], described: Mapping[str, str]) -> bool:
    """Return whether the caller has the file already, by its tag or else by its time."""
    tags = headers.get("If-None-Match")
    if tags is None:
        since = headers.get("If-Modified-Since")
        return since is not None and since == described.get("Last-Modified")
    own = described["ETag"].removeprefix("W/")
    return any(each.strip().removeprefix("W/") in ("*", own) for each in tags.split(","))


def _unchanged(described: Mapping[str, str]) -> Response:
    kept = ("ETag", "Cache-Control", "Last-Modified")
    return Response(status_code=304, headers={n: described[n] for n in kept if n in described})


def _asked(
    headers: Mapping[str, str], described: Mapping[str, str], size: int
) -> list[_Range] | None:
    """Return the parts of a file that are asked for; none if it has none of them, None for all."""
    asked = headers.get("Range")
    condition = headers.get("If-Range")
    known = (described["ETag"], described.get("Last-Modified"))
    if asked is None or (condition is not None and condition not in known):
        return None
    return _ranges(asked, size)


def _ranges(asked: str, size: int) -> list[_Range] | None:
    """Return the parts that a header names, joined where they touch; None if it is malformed.

    As with one that names very many parts, that is as if there were none (RFC 9110, 14.2).
    """
    unit, _, text = asked.partition("=")
    named = [each.strip() for each in text.split(",") if each.strip()]
    matches = [_RANGE.fullmatch(each) for each in named]
    if unit.strip().lower() != "bytes" or not 0 < len(named) <= _MOST_RANGES:
        return None
    found = []
    for match in matches:
        if match is None or match[0] == "-":
            return None
        first, last = match.groups()
        if first and last and int(last) < int(first):
            return None
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last) + 1, size) if first and last else size
        if start < end:
            found.append(_Range(start, end))
    return _joined(found)


def _joined(ranges: Sequence[_Range]) -> list[_Range]:
    joined: list[_Range] = []
    for each in sorted(ranges, key=lambda each: each.start):
        if joined and each.start <= joined[-1].end:
            joined[-1] = _Range(joined[-1].start, max(each.end, joined[-1].end))
        else:
            joined.append(each)
    return joined


class _Sent(StreamingResponse):
    """Sends pieces, and closes what they come from however that ends."""

    def __init__(
        self,
        pieces: Generator[bytes, None, None],
        headers: Mapping[str, str],
        status_code: int = 200,
        source: BinaryIO | None = None,
    ) -> None:
        super().__init__(_in_threads(pieces), status_code, headers)
        self._open = ExitStack()
        if source:
            self._open.enter_context(source)
        self._open.callback(_close, pieces)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._open.close()


async def _in_threads(pieces: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
    while (piece := await to_thread.run_sync(next, pieces, None, limiter=SENDERS)) is not None:
        yield piece


def _close(pieces: Generator[bytes, None, None]) -> None:
    # The thread of a server that is forced to stop may still be reading, and ends by itself.
    with suppress(ValueError):
        pieces.close()
