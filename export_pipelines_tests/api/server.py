"""The web server in this process: Dagster's, with the API, over the definitions of this project."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget

from export_pipelines.api.server import create_app
from export_pipelines.code_location import LOCATION
from export_pipelines.execution import run_export
from export_pipelines.records import open_instance
from export_pipelines.registration import api_keys
from export_pipelines.registration.api_keys import ApiKey
from export_pipelines.registry.database import writing
from export_pipelines_tests.api.clients import TestClient

API = "/api/v1"


@dataclass(frozen=True)
class Server:
    """A web server without a daemon: what is queued stays queued.

    Attributes:
        instance: where runs are recorded.
        client: asks it.
        keys: by organization and scopes.
    """

    instance: dg.DagsterInstance
    client: TestClient
    keys: dict[tuple[str, ...], str] = field(default_factory=dict)

    def key(self, organization: str = "default", *scopes: str) -> str:
        """Return an API key, with all scopes if none is given; it is made if need be."""
        wanted = (organization, *(scopes or ("admin",)))
        if wanted not in self.keys:
            with writing() as session:
                asked = ApiKey(" ".join(wanted), wanted[1:])
                self.keys[wanted] = api_keys.add(session, organization, asked)[1]
        return self.keys[wanted]

    def ask(self, method: str, path: str, *, key: str | None = None, **options: Any) -> Any:
        """Return an answer of the API, which is asked with the key of everything by default."""
        headers = {
            "Authorization": f"Bearer {key or self.key()}",
            **options.pop("headers", {}),
        }
        return self.client.request(method, f"{API}{path}", headers=headers, **options)

    def get(self, path: str, status: int = 200, **options: Any) -> Any:
        """Return the JSON of what must answer with a status."""
        answer = self.ask("GET", path, **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, status: int, body: Any = None, **options: Any) -> Any:
        """Return the JSON of what must answer with a status."""
        answer = self.ask("POST", path, **({"json": body} if body is not None else {}), **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    def export(self, format_name: str, organization: str = "default", **config: Any) -> str:
        """Export in this process, as the queue would, and return the run's id."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("EXPORT_PIPELINES_ORGANIZATION", organization)
            run, made = run_export(self.instance, format_name, config, lambda tags: None)
        assert made, run
        return run.run_id


@contextmanager
def open_server() -> Iterator[Server]:
    """Run the web server on the home folder of the settings, which asks for keys."""
    module = LoadableTargetOrigin(module_name="export_pipelines.definitions")
    origin = InProcessCodeLocationOrigin(module, location_name=LOCATION)
    with open_instance() as instance:
        with warnings.catch_warnings():
            # Dagster warns of what it does itself when it looks at definitions.
            warnings.simplefilter("ignore")
            context = WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin))
        with (
            context,
            TestClient(
                create_app(context), follow_redirects=False, raise_server_exceptions=False
            ) as client,
        ):
            yield Server(instance, client)
