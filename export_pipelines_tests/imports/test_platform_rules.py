"""The part of `imports.yaml` that is about platforms."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.config import IMPORT_OPTIONS
from export_pipelines.errors import RequestError
from export_pipelines.imports.rules import PlatformRule, read_platform_rules, read_rules, rule_for

RULE = {"platform": "partner", "folder": "incoming/products", "resource_type": "products"}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "imports.yaml"
    monkeypatch.setenv("EXPORT_PIPELINES_IMPORTS", str(found))
    return found


def read(path: Path, *rules: Any) -> list[PlatformRule]:
    path.write_text(yaml.safe_dump({"platforms": list(rules)}))
    return read_platform_rules(IMPORT_OPTIONS)


def test_a_rule_has_options(path: Path) -> None:
    options = {"mapping": "x", "on_error": "skip"}
    [rule] = read(path, {**RULE, **options})
    assert rule == PlatformRule("partner", "incoming/products", "products", options)
    assert rule.place == "partner/incoming/products"


@pytest.mark.parametrize("text", ["", "platforms:", "platforms: []", "files: []"])
def test_there_need_be_none(path: Path, text: str) -> None:
    assert read_platform_rules(IMPORT_OPTIONS) == []
    path.write_text(text)
    assert read_platform_rules(IMPORT_OPTIONS) == []
    assert read_rules(IMPORT_OPTIONS) == []


def test_rules_of_both_kinds_stand_side_by_side(path: Path) -> None:
    files = [{"match": "products/*", "on_error": "skip"}]
    path.write_text(yaml.safe_dump({"files": files, "platforms": [RULE]}))
    assert len(read_platform_rules(IMPORT_OPTIONS)) == 1
    assert rule_for("products", "a.csv", IMPORT_OPTIONS) == ("products", {"on_error": "skip"})


@pytest.mark.parametrize("folder", ["", "/", "in", "/in/products/", "größe, ß & 漢字/x"])
def test_slashes_at_the_ends_of_a_folder_mean_nothing(path: Path, folder: str) -> None:
    [rule] = read(path, {**RULE, "folder": folder})
    assert rule.folder == folder.strip("/")


@pytest.mark.parametrize(
    "folder", ["..", "in/../..", "in//products", "./in", "in/done", "failed/products", "in/done/x"]
)
def test_folders_that_cannot_be_watched_are_refused(path: Path, folder: str) -> None:
    with pytest.raises(RequestError, match="cannot be watched: write a folder below"):
        read(path, {**RULE, "folder": folder})


@pytest.mark.parametrize("key", list(RULE))
@pytest.mark.parametrize("value", [None, 7, ["x"]])
def test_each_key_is_required(path: Path, key: str, value: Any) -> None:
    with pytest.raises(RequestError, match="must have the keys platform, folder and resource_type"):
        read(path, {**RULE, key: value})


def test_unknown_keys_are_named(path: Path) -> None:
    with pytest.raises(RequestError, match=r"partner: There is no key 'maping'. Did you mean map"):
        read(path, {**RULE, "maping": "x"})


def test_a_folder_is_watched_once(path: Path) -> None:
    other = {**RULE, "folder": "/incoming/products/", "resource_type": "suppliers"}
    with pytest.raises(RequestError, match=r"partner/incoming/products is there more than once\."):
        read(path, RULE, other)
    assert len(read(path, RULE, {**RULE, "platform": "another"})) == 2


@pytest.mark.parametrize("text", ["[]x", "platforms: x", "platforms: {a: b}", "other: []", "7"])
def test_another_form_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(RequestError) as raised:
        read_platform_rules(IMPORT_OPTIONS)
    assert str(raised.value).startswith(str(path))


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


def test_whatever_is_written_is_rules_or_a_sentence(path: Path) -> None:
    @given(rule=_ANYTHING | st.fixed_dictionaries(dict.fromkeys(RULE, _ANYTHING)))
    def reads(rule: Any) -> None:
        found: list[PlatformRule] = []
        with suppress(RequestError):
            found = read(path, rule)
        assert all(isinstance(each, PlatformRule) for each in found)

    reads()
