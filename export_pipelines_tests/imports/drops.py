"""Files in the drop folder, and other processes that take them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from export_pipelines.imports import drop_folder
from export_pipelines_tests.imports import other_process

CONTENT = b"sku,name,status,commodity_type\nA,Apple,live,physical\n"
ODD_NAMES = [
    "two words.csv",
    'it\'s "quoted" ; $(rm -rf) %s.csv',
    "line\nbreak.csv",
    "日本 👩‍👧.csv",
    os.fsdecode(b"caf\xe9.csv"),
    "-rf",
    "x" * 246 + ".csv",
    "é" * 123 + ".csv",
]
"""Names that a file system takes."""


def drop(name: str, content: bytes = CONTENT, resource_type: str = "products") -> Path:
    """Drop a file as people do, in one piece."""
    folder = drop_folder.root() / "incoming" / resource_type
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def names(end: str, resource_type: str = "products") -> list[str]:
    """Return the names of what is in `done` or `failed`."""
    return sorted(path.name for path in (drop_folder.root() / end / resource_type).glob("*"))


def release_all() -> None:
    """Drop all locks of this process, as its end does."""
    for folder in list(drop_folder._LOCKS):
        drop_folder.release(folder)


@contextmanager
def other(path: Path, run_id: str = "other") -> Iterator[Path]:
    """Have another process take a file; yield where it is, and kill the process in the end."""
    asked = [sys.executable, "-m", other_process.__name__, str(drop_folder.root()), str(path)]
    with subprocess.Popen([*asked, run_id], stdout=subprocess.PIPE) as process:
        assert process.stdout
        yield Path(os.fsdecode(process.stdout.readline().rstrip(b"\n")))
        process.kill()
        process.wait()


def age(path: Path, seconds: int) -> None:
    """Make a file look older."""
    moment = time.time() - seconds
    os.utime(path, (moment, moment))
