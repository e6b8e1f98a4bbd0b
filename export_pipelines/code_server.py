"""Dagster's code server, whose runs begin at once: `python -m export_pipelines.code_server`.

Its commands and options are those of `dagster`. Dagster starts a new Python for each run, which
spends seconds on loading what all runs need. Here runs are forks of a process that has loaded it,
one for each code server; definitions that are loaded anew have another.
"""

import multiprocessing
import sys
from multiprocessing import forkserver
from threading import Timer
from typing import Any

from dagster._cli import cli
from dagster._grpc import server

_QUIET_SECONDS = 15
"""Loading waits so long, for the sake of the servers that start at the same time."""


class CodeServer(server.DagsterApiServer):
    """A code server that forks runs."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Build it.

        Args:
            arguments: of Dagster's.
            options: of Dagster's.
        """
        super().__init__(*arguments, **options)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["export_pipelines.preloaded"])
        self._mp_ctx: Any = context
        loading = Timer(_QUIET_SECONDS, forkserver.ensure_running)
        loading.daemon = True
        loading.start()


def _entry_point(executable: str) -> list[str]:
    return [executable, "-m", "export_pipelines.code_server"]


if __name__ == "__main__":
    # The server that is asked starts the one that loads the definitions by this command.
    vars(server)["get_python_environment_entry_point"] = _entry_point
    vars(server)["DagsterApiServer"] = CodeServer
    cli.main(sys.argv[1:], prog_name="dagster")
