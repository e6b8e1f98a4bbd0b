"""Dagster's web server with the API in it, on one port: `python -m export_pipelines.api.server`.

Its options are those of `dagster-webserver`.
"""

import asyncio
import gc
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from dagster._core.workspace.context import IWorkspaceProcessContext, WorkspaceRequestContext
from dagster_webserver import cli as webserver_cli
from dagster_webserver.webserver import DagsterWebserver
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from export_pipelines.api.application import build_api
from export_pipelines.api.callers import Remembered
from export_pipelines.api.connections import keep_connections
from export_pipelines.api.gate import API, Gate
from export_pipelines.api.launching import Launcher
from export_pipelines.api.metrics import Timed, metrics_registry
from export_pipelines.catalog.database import engine
from export_pipelines.code_location import LOCATION, answers_on
from export_pipelines.errors import ExportPipelinesError, StorageUnavailable
from export_pipelines.registry.database import schedules_revision
from export_pipelines.server_environment import CODE_SOCKET, NO_AUTH, SERVER_TOKEN
from export_pipelines.settings import database_url

Context: TypeAlias = IWorkspaceProcessContext[WorkspaceRequestContext]
_CODE_SECONDS = 120
_log = logging.getLogger("dagster-webserver")


class Webserver(DagsterWebserver[Context, WorkspaceRequestContext]):
    """Dagster's web server with the API, the gate before both, and what monitoring asks for."""

    def __init__(self, process_context: Context, *arguments: Any) -> None:
        """Build it.

        Args:
            process_context: Dagster's.
            arguments: of Dagster's web server.
        """
        instance = process_context.instance
        keep_connections(instance.run_storage)
        self._metrics, self._latency = metrics_registry(instance)
        self._failed = Remembered(self._find_failed)
        super().__init__(process_context, *arguments)

    def build_middleware(self) -> list[Middleware]:
        """Put the gate before everything."""
        gate = Middleware(
            Gate,
            authenticates=not os.environ.get(NO_AUTH),
            internal_token=os.environ.get(SERVER_TOKEN, ""),
        )
        return [gate, *super().build_middleware()]

    def build_routes(self) -> list[BaseRoute]:
        """Put the API and what monitoring asks for before Dagster's routes, which take all."""
        api = build_api(Launcher(self._process_context.instance, self))
        return [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics_page),
            Mount(API, Timed(api, self._latency)),
            *super().build_routes(),  # type: ignore[no-untyped-call]
        ]

    def execute(self, query: str, variables: Mapping[str, Any]) -> Any:
        """Return the data of a GraphQL answer; called in threads that have no loop.

        Raises:
            StorageUnavailable: Dagster cannot answer.
        """
        with self._process_context.create_request_context() as context:
            result = asyncio.run(
                self._graphene_schema.execute_async(
                    query, variables=dict(variables), context=context
                )
            )
        if result.errors:
            raise StorageUnavailable(
                f"Dagster does not answer: {result.errors[0].message}. Try again in a moment."
            )
        return result.data

    async def _healthz(self, request: Request) -> Response:
        """Say that the server is there."""
        return JSONResponse({"status": "ok"})

    async def _readyz(self, request: Request) -> Response:
        """Say whether all that is needed answers, or did two seconds ago."""
        failed = await self._failed.recent()
        body = {"status": "unavailable" if failed else "ready", "failed": failed}
        return JSONResponse(body, 503 if failed else 200)

    def _find_failed(self) -> list[str]:
        """Return what does not answer of databases and the code server's definitions."""
        checks = {
            "catalog": _reason(_ask_catalog),
            "registry": _reason(schedules_revision),
            "runs": _reason(lambda: self._process_context.instance.get_runs(limit=1)),
            "definitions": _reason(self._require_definitions),
        }
        failed = [name for name, reason in checks.items() if reason]
        for name in failed:
            _log.warning("Not ready: %s: %s", name, checks[name])
        return failed

    def _require_definitions(self) -> None:
        with self._process_context.create_request_context() as context:
            entry = context.get_location_entry(LOCATION)
        if entry is None or entry.code_location is None:
            raise StorageUnavailable("The definitions are not loaded: the server's log says why.")

    def _metrics_page(self, request: Request) -> Response:
        """Show the figures for Prometheus."""
        return Response(generate_latest(self._metrics), media_type=CONTENT_TYPE_LATEST)


def _ask_catalog() -> None:
    opened = engine(database_url())
    try:
        with opened.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    finally:
        opened.dispose()


def _reason(ask: Any) -> str:
    """Return why something does not answer; empty if it does."""
    try:
        ask()
    except ExportPipelinesError as error:
        return str(error)
    except SQLAlchemyError as error:
        return f"The database does not answer ({type(error).__name__})."
    return ""


def create_app(
    workspace_process_context: Context,
    path_prefix: str = "",
    live_data_poll_rate: int | None = None,
    **options: Any,
) -> Starlette:
    """Return the web server's application, in place of Dagster's own.

    Args:
        workspace_process_context: Dagster's.
        path_prefix: what its paths begin with.
        live_data_poll_rate: in milliseconds.
        options: of the application.
    """
    server = Webserver(workspace_process_context, path_prefix, live_data_poll_rate)
    app: Starlette = server.create_asgi_app(**options)
    # To look through all that was loaded for garbage holds up every answer for a fifth of a second.
    gc.collect()
    gc.freeze()
    return app


def _wait_for_code_server() -> None:
    """Wait for the code server, if that is started at the same time: others are there already."""
    path = os.environ.get(CODE_SOCKET)
    deadline = time.monotonic() + _CODE_SECONDS
    while path and not answers_on(Path(path)) and time.monotonic() < deadline:
        time.sleep(0.1)


if __name__ == "__main__":
    _wait_for_code_server()
    # Its command line finds its application by this name.
    vars(webserver_cli)["create_app_from_workspace_process_context"] = create_app
    webserver_cli.cli(auto_envvar_prefix="DAGSTER_WEBSERVER")
