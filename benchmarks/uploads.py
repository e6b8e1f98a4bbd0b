"""A large file to S3 and SFTP servers, beside rclone, on the same server in the same run.

    .venv/bin/python -m benchmarks.uploads
    .venv/bin/python -m benchmarks.uploads --megabytes 200 --repeat 1 --targets sftp-openssh

Both send the same file of random bytes in turn. Of ours the delivery itself is timed, with
checksums and verification; of rclone the command. Memory is the peak while sending above that of
the process with its connection open. Compare ratios, not seconds: all are of one run.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from export_pipelines_tests.servers.rclone import program
from export_pipelines_tests.servers.targets import Target, Targets

_TARGETS = ["s3-seaweed", "s3-rclone", "sftp-openssh", "sftp-asyncssh", "sftp-rclone"]
_MEGABYTE = 1_000_000

_OURS = """
import json, sys, time
from export_pipelines.artifacts import StagedFile
from export_pipelines.platforms import PLATFORMS

def memory(name):
    for line in open("/proc/self/status"):
        if line.startswith(name):
            return int(line.split()[1]) / 1024

asked = json.load(sys.stdin)
with PLATFORMS[asked["type"]](**asked["fields"]).connect() as connection:
    connection.list()
    idle = memory("VmRSS")
    began = time.monotonic()
    receipt = connection.put(StagedFile(**asked["file"]), asked["name"])
    seconds = time.monotonic() - began
    peak = memory("VmHWM")
    connection.delete(asked["name"])
print(json.dumps([seconds, peak - idle, receipt.verified, receipt.sent]))
"""


def ours(target: Target, file: dict[str, Any]) -> tuple[float, float, str]:
    """Send the file with this project; return seconds, megabytes of memory, how it is verified."""
    platform = target.platform
    kind = type(platform).model_fields["platform_type"].default
    asked = {
        "type": kind,
        "fields": {name: getattr(platform, name) for name in type(platform).model_fields},
        "file": file,
        "name": "ours.bin",
    }
    done = subprocess.run(
        [sys.executable, "-c", _OURS],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds, memory, verified, sent = json.loads(done.stdout)
    if sent != file["bytes"]:
        raise SystemExit(f"{sent} bytes were sent")
    return seconds, memory, verified


def peer(target: Target, path: str) -> float:
    """Send the file with rclone as it is when nobody tunes it; return seconds."""
    joint = "" if target.remote.endswith((":", "/")) else "/"
    where = f"{target.remote}{joint}rclone.bin"
    environment = {**os.environ, "RCLONE_CONFIG": os.devnull, **target.environment}
    began = time.monotonic()
    subprocess.run([program(), "copyto", path, where], env=environment, check=True)
    seconds = time.monotonic() - began
    subprocess.run([program(), "deletefile", where], env=environment, check=True)
    return seconds


def compare(name: str, target: Target, file: dict[str, Any], repeat: int) -> None:
    """Send the file both ways in turn, and print the medians."""
    mine, theirs, memory, verified = [], [], 0.0, ""
    for _ in range(repeat):
        theirs.append(peer(target, file["path"]))
        seconds, used, verified = ours(target, file)
        mine.append(seconds)
        memory = max(memory, used)
    fast, rclone = statistics.median(mine), statistics.median(theirs)
    megabytes = file["bytes"] / _MEGABYTE
    each = " ".join(f"{a:.1f}/{b:.1f}" for a, b in zip(mine, theirs, strict=True))
    print(
        f"{name:16}{megabytes / fast:9.0f}{megabytes / rclone:9.0f}{rclone / fast:8.2f}"
        f"{memory:8.0f}   {verified:8} {each}",
        flush=True,
    )


def random_file(path: Path, megabytes: int) -> dict[str, Any]:
    """Write random bytes, and return what a staged file says of itself."""
    digest = hashlib.sha256()
    with path.open("wb") as target:
        for _ in range(megabytes):
            piece = os.urandom(_MEGABYTE)
            digest.update(piece)
            target.write(piece)
    size = megabytes * _MEGABYTE
    return {
        "path": str(path),
        "name": path.name,
        "rows": 0,
        "bytes": size,
        "sha256": digest.hexdigest(),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Uploads beside rclone")
    parser.add_argument("--megabytes", type=int, default=2_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--targets", nargs="*", default=_TARGETS)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="export-benchmark-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        file = random_file(folder / "file.bin", chosen.megabytes)
        print(
            f"{chosen.megabytes:,} MB, MB/s\n{'':16}{'ours':>9}{'rclone':>9}{'ratio':>8}{'MB':>8}"
        )
        for wanted in chosen.targets:
            with ExitStack() as stack:
                targets = Targets(stack, lambda kind: made(folder / kind))
                compare(wanted, targets[wanted], file, chosen.repeat)


def made(folder: Path) -> Path:
    """Make a folder and return it."""
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
