"""Writes platforms into `platforms.yaml` for tests, with their secrets in variables."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from export_pipelines import settings
from export_pipelines.config_types import is_secret
from export_pipelines.platforms.base import Platform


def written(platform: Platform, prefix: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return a platform as people write it: its type with its fields, secrets by variable.

    Args:
        platform: a platform with the values themselves.
        prefix: begins the names of the variables, which are set.
        monkeypatch: sets them.
    """
    fields: dict[str, Any] = {}
    for name, field in type(platform).model_fields.items():
        value = getattr(platform, name)
        if name == "platform_type" or (not field.is_required() and value == field.default):
            continue
        if is_secret(field):
            variable = f"{prefix}_{name}".upper()
            monkeypatch.setenv(variable, value)
            value = {"env": variable}
        fields[name] = value
    return {type(platform).model_fields["platform_type"].default: fields}


def name_platforms(platforms: Mapping[str, Platform], monkeypatch: pytest.MonkeyPatch) -> None:
    """Write `platforms.yaml`."""
    named = {
        name: written(platform, f"TEST_{name}".replace("-", "_"), monkeypatch)
        for name, platform in platforms.items()
    }
    settings.platforms_file().write_text(yaml.safe_dump({"platforms": named}), encoding="utf-8")


def below(platform: Platform, subfolder: str) -> Platform:
    """Return the same platform with a folder for each delivery."""
    values = {name: getattr(platform, name) for name in type(platform).model_fields}
    return type(platform)(**{**values, "subfolder": subfolder})


def as_delivered(store: Path, folder: Path) -> Path:
    """Copy an export from the store, with the manifest under its name on platforms."""
    shutil.copytree(store, folder)
    names = [path.name for path in folder.iterdir() if path.name != "manifest.json"]
    (folder / "manifest.json").rename(folder / manifest_name(names[0]))
    return folder


def manifest_name(file_name: str) -> str:
    """Return the manifest's name on platforms beside files of products, of which one has a name."""
    return f"products.{file_name.partition('.')[2]}.manifest.json"
