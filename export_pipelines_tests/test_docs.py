"""The documentation names all that a user can choose or meet."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from export_pipelines.api import problems
from export_pipelines.catalog.models import Base
from export_pipelines.config import config_schema, import_schema
from export_pipelines.errors import ExportPipelinesError
from export_pipelines.formats import FORMATS

REFUSED_NAMES = (".part", ".partial", ".tmp", ".crdownload")
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def errors(kind: type[ExportPipelinesError] = ExportPipelinesError) -> Iterator[Any]:
    for narrower in kind.__subclasses__():
        yield narrower
        yield from errors(narrower)


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_field_and_compression_of_a_format(name: str) -> None:
    text = page("exports")
    for field in config_schema(FORMATS[name]):
        assert f"`{field}`" in text
    for compression in FORMATS[name].compressions:
        assert f"`{compression}`" in text
    assert f"export_{name}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_field_of_an_import() -> None:
    text = page("imports")
    assert [field for field in import_schema() if f"`{field}`" not in text] == []
    for choice in ("jsonl", "latin-1", "en-US", "skip", *REFUSED_NAMES):
        assert f"`{choice}`" in text


def test_every_code_of_a_wrong_row() -> None:
    sources = [*(ROOT / "export_pipelines").glob("imports/*.py")]
    sources += (ROOT / "export_pipelines").glob("mapping/*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    codes = set(re.findall(r'"((?:not|too)_[a-z_]+|required|taken|repeated|bundle|no_key)"', text))
    assert len(codes) > 10
    assert [code for code in sorted(codes) if f"`{code}`" not in page("imports")] == []


@pytest.mark.parametrize("name", ["operations", "graphql"])
def test_every_error_code_of_a_run(name: str) -> None:
    codes = [each.code for each in errors() if each.__module__ == ExportPipelinesError.__module__]
    assert [code for code in codes if f"`{code}`" not in page(name)] == []


def test_every_error_code_of_the_api() -> None:
    modules = re.compile(r"export_pipelines\.(?!cli\.)")
    codes = {each.code for each in errors() if modules.match(each.__module__)}
    assert {"link_refused", "conflict", "permission_denied"} <= codes
    assert [code for code in sorted(codes) if f"`{code}`" not in page("api")] == []


def test_every_kind_of_error_of_the_api() -> None:
    kinds = re.findall(r'"([A-Z]+_[A-Z_]+|CONFLICT|GONE)"', inspect.getsource(problems))
    assert len(set(kinds)) > 8
    assert [kind for kind in kinds if f"`{kind}`" not in page("api")] == []


def test_every_variable() -> None:
    settings = (ROOT / "export_pipelines" / "settings.py").read_text(encoding="utf-8")
    variables = set(re.findall(r'"(EXPORT_PIPELINES_\w+|DATABASE_URL)"', settings))
    assert variables
    assert [name for name in variables if name not in page("operations")] == []


def test_the_number_of_tables() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"A catalogue of {len(Base.metadata.tables)} tables" in changes


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")]
    for path in pages:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
