"""Makes API keys for tests, and changes them."""

from collections.abc import Sequence

import pytest

from export_pipelines import settings
from export_pipelines.registration import api_keys
from export_pipelines.registration.api_keys import ApiKey
from export_pipelines.registry import rows
from export_pipelines.registry.database import writing
from export_pipelines.registry.models import ApiKeyRow


def make_key(name: str, scopes: Sequence[str] = ("admin",), organization: str = "default") -> str:
    """Return the text of a new key."""
    with writing() as session:
        return api_keys.add(session, organization, ApiKey(name, scopes))[1]


def change_key(name: str, organization: str = "default", **fields: object) -> ApiKeyRow:
    """Write fields of a key, and return it."""
    with writing() as session:
        row = rows.require(session, ApiKeyRow, organization, name)
        for field, value in fields.items():
            setattr(row, field, value)
        return row


def revoke_key(name: str, organization: str = "default") -> None:
    """Revoke a key."""
    change_key(name, organization, is_active=False)


def lose_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the registry where there can be none."""
    place = settings.home_folder() / "registry.db" / "registry.db"
    monkeypatch.setenv("EXPORT_PIPELINES_REGISTRY_URL", f"sqlite:///{place}")
