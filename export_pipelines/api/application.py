"""The API as one application, with its OpenAPI document and a page that shows it."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import swagger_ui_bundle
from fastapi import FastAPI, Security
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

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
_PAGE = "swagger-ui"


def build_api(launcher: Launcher) -> FastAPI:
    """Return the API.

    Args:
        launcher: starts runs.
    """
    app = FastAPI(
        title="export-pipelines",
        version=version("export-pipelines"),
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        responses=RESPONSES,
        dependencies=[Security(bearer)],
        root_path_in_servers=True,
    )
    app.state.launcher = launcher
    explain_all(app)
    _add_page(app)
    # Names of the rest are the first part of what exports begin with.
    for routes in (platforms, profiles, schedules, exports, imports, webhooks, keys):
        app.include_router(routes.router)
    return app


def _add_page(app: FastAPI) -> None:
    """Add a page that shows the document; all that it needs comes from this machine."""
    folder = Path(swagger_ui_bundle.swagger_ui_path)
    app.mount(f"/docs/{_PAGE}", StaticFiles(directory=folder), name=_PAGE)

    @app.get("/docs", include_in_schema=False)
    def page(request: Request) -> HTMLResponse:
        root: Any = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=f"{app.title} API",
            swagger_js_url=f"{root}/docs/{_PAGE}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}/docs/{_PAGE}/swagger-ui.css",
            swagger_favicon_url="/favicon.png",
        )
