"""Where the jobs are that commands are about: in the home folder, or on a server."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import click

from export_pipelines.cli.job_downloads import Job
from export_pipelines.cli.terminal import exit_codes
from export_pipelines.errors import ExportPipelinesError

_KEY_VARIABLE = "EXPORT_PIPELINES_API_KEY"


class ServerUnavailable(ExportPipelinesError):
    """A server whose jobs somebody asks for does not answer, or breaks off."""

    code = "server_unavailable"
    exit_code = 15


class Jobs(Protocol):
    """Where jobs are."""

    def listed(
        self, kind: str, filters: Mapping[str, str], limit: int | None
    ) -> Iterator[dict[str, Any]]:
        """Yield jobs of a kind, the newest first."""

    def find(self, job_id: str) -> dict[str, Any]:
        """Return a job.

        Raises:
            ServerUnavailable: it is on a server, which does not answer.
        """

    def cancel(self, job: Job) -> dict[str, Any]:
        """Cancel a job."""

    def resume(self, job: Job) -> dict[str, Any]:
        """Go on with a job that failed, and return the new one."""

    def fetch(self, job: Job, file: Mapping[str, Any], partial: Path) -> None:
        """Write a file of an export into a file that may hold its beginning."""


_PLACE = [
    click.option("--server", metavar="URL", help="Ask that server, such as https://shop.example."),
    click.option(
        "--key-file",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help="The file of the API key.",
    ),
    click.option(
        "--key",
        help=f"The API key; other users can see it. Default: the variable {_KEY_VARIABLE}.",
    ),
]


def with_place(command: Any) -> Any:
    """Give a command the options that say where its jobs are."""
    for option in reversed(_PLACE):
        command = option(command)
    return command


@contextmanager
def opened(server: str | None, key_file: str | None, key: str | None) -> Iterator[Jobs]:
    """Open the jobs of a server, or those of the home folder; a failure is one sentence.

    Raises:
        click.UsageError: there are two keys, or one for no server.
    """
    if key is not None and key_file is not None:
        raise click.UsageError("Give one of --key and --key-file.")
    if server is None and (key is not None or key_file is not None):
        raise click.UsageError("A key is for a server: name it with --server.")
    with exit_codes():
        if server is not None:
            from export_pipelines.cli.job_server import ServerJobs

            yield ServerJobs(server, _key(key_file, key))
            return
        if not os.environ.get("EXPORT_PIPELINES_LOG_LEVEL"):
            os.environ["EXPORT_PIPELINES_LOG_LEVEL"] = "CRITICAL"
        from export_pipelines.cli.job_records import LocalJobs
        from export_pipelines.records import open_instance

        with open_instance() as instance:
            yield LocalJobs(instance)


def _key(key_file: str | None, key: str | None) -> str:
    if key_file is not None:
        return Path(key_file).read_text(encoding="utf-8", errors="replace").strip()
    return (os.environ.get(_KEY_VARIABLE, "") if key is None else key).strip()
