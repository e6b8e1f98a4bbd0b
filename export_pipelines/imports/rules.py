"""`imports.yaml`: how dropped files are imported, by their names.

    files:
      - match: products/olist_*.csv       # in the drop folder's `incoming`; * and ? as in a shell
        mapping: olist_products
      - match: "*/stock-*.csv"
        resource_type: stock_items        # otherwise that of the folder it was dropped in
        on_error: skip

The first that matches holds; its other keys are those of an import's run config. Without the file,
or a match, files are imported as the folder says, with what run config has by default.

    platforms:
      - platform: partner                 # a name of platforms.yaml
        folder: incoming/products         # below the platform's; the files directly in it are taken
        resource_type: products
        mapping: partner_products

Such folders are watched as well. Files end beside them: in `incoming/done` and `incoming/failed`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import yaml

from export_pipelines import settings
from export_pipelines.errors import RequestError, one_of, shown, unknown

_MATCH = "match"
_RESOURCE_TYPE = "resource_type"
_FILES = "files"
_PLATFORMS = "platforms"
_PLATFORM = "platform"
_FOLDER = "folder"
_NO_PARTS = ("", ".", "..", "done", "failed")


@dataclass(frozen=True)
class PlatformRule:
    """A folder on a platform that is watched.

    Attributes:
        platform: its name in `platforms.yaml`.
        folder: the folder below the platform's; empty for that itself.
        resource_type: what the files hold.
        options: how they are imported, as run config.
    """

    platform: str
    folder: str
    resource_type: str
    options: Mapping[str, Any]

    @property
    def place(self) -> str:
        """The folder as people call it: `partner/incoming/products`."""
        return f"{self.platform}/{self.folder}".rstrip("/")


def rule_for(folder: str, name: str, known: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the resource type and the options of a dropped file.

    Args:
        folder: the folder it was dropped in.
        name: its name.
        known: the options there are.

    Raises:
        RequestError: `imports.yaml` is wrong.
    """
    for rule in read_rules(known):
        if fnmatchcase(f"{folder}/{name}", str(rule[_MATCH])):
            options = {key: value for key, value in rule.items() if key in known}
            return str(rule.get(_RESOURCE_TYPE) or folder), options
    return folder, {}


def read_rules(known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rules of `imports.yaml` for dropped files; none without it.

    Raises:
        RequestError: it cannot be read, or has another form.
    """
    rules = _read(_FILES)
    for rule in rules:
        _check(rule, known, str(settings.imports_file()))
    return rules


def read_platform_rules(known: Mapping[str, Any]) -> list[PlatformRule]:
    """Return the folders on platforms that `imports.yaml` has watched; none without it.

    Args:
        known: the options there are.

    Raises:
        RequestError: it cannot be read, or has another form.
    """
    rules = [_platform_rule(rule, known) for rule in _read(_PLATFORMS)]
    places = [rule.place for rule in rules]
    for place in places:
        if places.count(place) > 1:
            raise RequestError(f"{settings.imports_file()}: {place} is there more than once.")
    return rules


@lru_cache(maxsize=1)
def _parsed(content: bytes) -> Any:
    """Return what YAML says; it is asked again for each of many files."""
    return yaml.safe_load(content)


def _read(key: str) -> list[Any]:
    path = settings.imports_file()
    try:
        content = _parsed(path.read_bytes()) if path.exists() else {}
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise RequestError(f"{path} is no YAML{line}.") from None
    if not _has_form(content or {}):
        raise RequestError(
            f"{path} may have two keys, {_FILES} and {_PLATFORMS}, each with a list of rules."
        )
    return list((content or {}).get(key) or [])


def _has_form(content: Any) -> bool:
    if not isinstance(content, dict) or content.keys() - {_FILES, _PLATFORMS}:
        return False
    return all(isinstance(rules or [], list) for rules in content.values())


def _platform_rule(rule: Any, known: Mapping[str, Any]) -> PlatformRule:
    path = settings.imports_file()
    required = (_PLATFORM, _FOLDER, _RESOURCE_TYPE)
    if not isinstance(rule, dict) or not all(isinstance(rule.get(key), str) for key in required):
        raise RequestError(f"{path}: {shown(rule)} must have the keys {one_of(required)}.")
    for key in rule:
        if key not in (*required, *known):
            choices = [*required, *known]
            raise RequestError(f"{path}: {rule[_PLATFORM]}: {unknown('key', str(key), choices)}")
    folder = rule[_FOLDER].strip("/")
    if folder and any(part in _NO_PARTS for part in folder.split("/")):
        raise RequestError(
            f"{path}: {rule[_PLATFORM]}: {shown(rule[_FOLDER])} cannot be watched: write a folder "
            "below the platform's, without . and .., and none of done or failed, where files end."
        )
    options = {key: value for key, value in rule.items() if key in known}
    return PlatformRule(rule[_PLATFORM], folder, rule[_RESOURCE_TYPE], options)


def _check(rule: Any, known: Mapping[str, Any], path: str) -> None:
    if not isinstance(rule, dict) or not isinstance(rule.get(_MATCH), str):
        raise RequestError(f"{path}: {shown(rule)} must have a key match, with a pattern of names.")
    for key in rule:
        if key not in (_MATCH, _RESOURCE_TYPE, *known):
            choices = [_MATCH, _RESOURCE_TYPE, *known]
            raise RequestError(f"{path}: {rule[_MATCH]}: {unknown('key', str(key), choices)}")
