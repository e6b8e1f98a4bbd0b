"""The API as one application, with its OpenAPI document and a page that shows it.

All that the page needs comes from this machine.
"""

from importlib.metadata import version

from fastapi import FastAPI, Security
from fastapi_offline import FastAPIOffline

from export_pipelines.api.dependencies import bearer
from export_pipelines.api.launching import Launcher
from export_pipelines.api.problems import RESPONSES, explain_all
from export_pipelines.api.routes import (
    exports,
    imports,
    keys,
    platforms,
    profiles,
    schedules,
    webhooks,
)

_DESCRIPTION = """
Exports a shop's catalogue and orders to files, delivers them, and imports files into it.

Exports and imports are jobs: a request answers at once with a job's id; read the job until its
status is no longer `processing`, or have a webhook told. Every job is a run of Dagster, so the web
UI, GraphQL and this API show the same.

Give a key in the header `Authorization: Bearer KEY`; `export-pipelines keys add` makes one. It sees
what belongs to its organization only.
"""


def build_api(launcher: Launcher) -> FastAPI:
    """Return the API.

    Args:
        launcher: starts runs.
    """
    app = FastAPIOffline(
        docs_url="/docs",
        redoc_url=None,
        static_url="/docs/static",
        title="export-pipelines",
        version=version("export-pipelines"),
        description=_DESCRIPTION,
        responses=RESPONSES,
    )
    app.state.launcher = launcher
    parts = [
        part.router for part in (platforms, profiles, schedules, exports, imports, webhooks, keys)
    ]
    explain_all(app, [route for router in (exports.links, *parts) for route in router.routes])
    for router in parts:
        app.include_router(router, dependencies=[Security(bearer)])
    app.include_router(exports.links)
    return app
