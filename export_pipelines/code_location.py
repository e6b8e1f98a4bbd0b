"""Where Dagster finds this project's definitions: a code server for each home folder."""

import os
import socket
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir

from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteRepositoryOrigin

from export_pipelines import settings

LOCATION = "export_pipelines"
REPOSITORY = "__repository__"

_MOST_BYTES = 100
_HOST = "localhost"


def code_socket() -> Path:
    """Return the socket of the home folder's code server.

    It is always the same, since Dagster knows what schedules and sensors did by where they are.
    """
    path = settings.dagster_folder() / "code.sock"
    if len(os.fsencode(path)) <= _MOST_BYTES:
        return path
    # A socket's path has a limit of about 107 bytes.
    digest = sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(gettempdir()) / f"export-pipelines-{os.getuid()}-{digest}.sock"


def answers_on(path: Path) -> bool:
    """Return whether a server listens on a socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def repository_origin() -> RemoteRepositoryOrigin:
    """Return what Dagster knows the definitions of the home folder's code server by."""
    location = GrpcServerCodeLocationOrigin(
        host=_HOST, socket=str(code_socket()), location_name=LOCATION
    )
    return RemoteRepositoryOrigin(code_location_origin=location, repository_name=REPOSITORY)
