"""From files to delivered files: compressed or archived, with size and checksum.

Compression runs in threads over pieces of the files, so one large file takes as little time as
many small ones.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from export_pipelines.archive import (
    LARGE_BYTES,
    PIECE_BYTES,
    GzipWriter,
    Piece,
    ZipWriter,
    deflate,
)
from export_pipelines.artifacts import StagedFile
from export_pipelines.concurrency import ordered_map

_Chunk = tuple[StagedFile, int]


class _Hashing:
    """A target that hashes what is written to it."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._hash = hashlib.sha256()

    def write(self, data: Any) -> int:
        self._hash.update(data)
        return self._target.write(data)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class _PlainWriter:
    """Writes what a piece was deflated to, whatever compressor made it."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def add(self, piece: Piece) -> None:
        self._target.write(piece.deflated)

    def finish(self) -> None:
        """Nothing follows the last piece."""


def compress_files(
    files: Sequence[StagedFile],
    compression: str,
    folder: Path,
    *,
    archive_name: str,
    on_bytes: Callable[[int], None] = lambda read: None,
) -> tuple[StagedFile, ...]:
    """Return the files as they are delivered; uncompressed ones that are replaced are removed.

    Args:
        files: whole files in the staging area.
        compression: `none`, `gzip`, `zstd` or `zip`.
        folder: where compressed files go; made if it is not there.
        archive_name: name of the archive of all files, for `zip`.
        on_bytes: told the uncompressed bytes done so far.
    """
    if compression == "none":
        return tuple(replace(file, sha256=_sha256(Path(file.path))) for file in files)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = _count(_pieces(files, _zstd if compression == "zstd" else deflate), on_bytes)
    compressed: tuple[StagedFile, ...]
    if compression == "zip":
        compressed = (_archive(files, folder / archive_name, pieces),)
    else:
        compressed = tuple(_compress(file, compression, folder, pieces) for file in files)
    # Not before all is done: until then a failed run can be resumed from them.
    for file in files:
        Path(file.path).unlink()
    return compressed


def _compress(
    file: StagedFile, compression: str, folder: Path, pieces: Iterator[Piece]
) -> StagedFile:
    path = folder / (file.name + (".gz" if compression == "gzip" else ".zst"))
    with path.open("wb") as target:
        hashing: Any = _Hashing(target)
        writer = GzipWriter(hashing) if compression == "gzip" else _PlainWriter(hashing)
        for _ in _chunks(file):
            writer.add(next(pieces))
        writer.finish()
    size = path.stat().st_size
    return replace(file, path=str(path), name=path.name, bytes=size, sha256=hashing.sha256)


def _archive(files: Sequence[StagedFile], path: Path, pieces: Iterator[Piece]) -> StagedFile:
    with path.open("wb") as target:
        archive = ZipWriter(target)
        for file in files:
            archive.begin(file.name, large=file.bytes >= LARGE_BYTES)
            for _ in _chunks(file):
                archive.add(next(pieces))
        archive.finish()
    rows = sum(file.rows for file in files)
    warnings = tuple(warning for file in files for warning in file.warnings)
    size = path.stat().st_size
    return StagedFile(str(path), path.name, rows, size, _sha256(path), warnings)


def _pieces(files: Sequence[StagedFile], compress: Callable[[bytes], Piece]) -> Iterator[Piece]:
    def work(chunk: _Chunk) -> Piece:
        file, offset = chunk
        with Path(file.path).open("rb") as source:
            source.seek(offset)
            return compress(source.read(PIECE_BYTES))

    return ordered_map(work, (chunk for file in files for chunk in _chunks(file)))


def _chunks(file: StagedFile) -> Iterator[_Chunk]:
    return ((file, offset) for offset in range(0, max(1, file.bytes), PIECE_BYTES))


def _count(pieces: Iterator[Piece], on_bytes: Callable[[int], None]) -> Iterator[Piece]:
    done = 0
    for piece in pieces:
        done += len(piece.raw)
        on_bytes(done)
        yield piece


def _zstd(raw: bytes) -> Piece:
    """Compress bytes to one frame; frames one after the other are a valid file."""
    import pyarrow as pa

    return Piece(raw, pa.Codec("zstd", 3).compress(raw, asbytes=True))


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        digest = hashlib.sha256()
        while piece := source.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
