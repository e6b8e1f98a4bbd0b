from pathlib import Path
from typing import Any

import pytest

from export_pipelines.config import IMPORT_OPTIONS
from export_pipelines.errors import RequestError
from export_pipelines.imports.rules import read_rules, rule_for


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name the file of rules, which is not there."""
    path = tmp_path / "imports.yaml"
    monkeypatch.setenv("EXPORT_PIPELINES_IMPORTS", str(path))
    return path


RULES = """
files:
  - match: products/olist_*.csv
    mapping: olist_products
  - match: "*/stock-?.csv"
    resource_type: stock_items
    on_error: skip
    max_error_ratio: 0.5
    dry_run: true
  - match: "products/*"
    locale: en-GB
"""


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        ("products", "olist_1.csv", ("products", {"mapping": "olist_products"})),
        ("products", "olist_1.CSV", ("products", {"locale": "en-GB"})),
        (
            "products",
            "stock-1.csv",
            ("stock_items", {"on_error": "skip", "max_error_ratio": 0.5, "dry_run": True}),
        ),
        ("orders", "stock-12.csv", ("orders", {})),
        ("orders", "olist_1.csv", ("orders", {})),
    ],
)
def test_the_first_rule_that_matches_holds(
    path: Path, folder: str, name: str, expected: tuple[str, dict[str, Any]]
) -> None:
    path.write_text(RULES)
    assert rule_for(folder, name, IMPORT_OPTIONS) == expected


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "files: []\n", "files:\n"])
def test_without_rules_the_folder_says_all(path: Path, text: str | None) -> None:
    if text is not None:
        path.write_text(text)
    assert read_rules(IMPORT_OPTIONS) == []
    assert rule_for("orders", "a.csv", IMPORT_OPTIONS) == ("orders", {})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("files: [\n", "is no YAML in line"),
        ("files: [{match: 2024-13-45}]", "is no YAML"),
        ("a: &x [*x", "is no YAML"),
        ("[" * 1_500, "is no YAML"),
        ("- match: a", "with a list of rules."),
        ("rules: []", "with a list of rules."),
        ("files: all", "with a list of rules."),
        ("files: [a]", "'a' must have a key match, with a pattern of names."),
        ("files: [{mapping: a}]", "must have a key match, with a pattern of names."),
        ("files: [{match: 5}]", "must have a key match, with a pattern of names."),
        (
            "files: [{match: a, maping: b}]",
            "a: There is no key 'maping'. Did you mean mapping",
        ),
        ("files: [{match: a, 5: b}]", "a: There is no key '5'."),
    ],
)
def test_rules_of_another_form_are_refused(path: Path, text: str, sentence: str) -> None:
    path.write_text(text)
    with pytest.raises(RequestError) as refused:
        rule_for("products", "a.csv", IMPORT_OPTIONS)
    assert str(refused.value).startswith(str(path))
    assert sentence in str(refused.value)


def test_rules_that_cannot_be_read_are_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(RequestError, match="cannot be read: Is a directory"):
        read_rules(IMPORT_OPTIONS)
