import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import export_pipelines

ROOT = Path(export_pipelines.__file__).parent
NAME = "export_pipelines"
LAYERS = [
    {"definitions"},
    {"registration"},
    {"platform_sensor"},
    {"sensors", "schedules", "schedule_sensor", "webhook_sensor"},
    {"webhooks"},
    {"maintenance"},
    {"jobs", "assets"},
    {"ops"},
    {"retention"},
    {"runs"},
    {"resources", "config"},
    {"imports"},
    {"planning"},
    {"serialization", "store", "delivery"},
    {"spool", "compression"},
    {"mapping"},
    {"readers"},
    {"formats", "archive", "platforms", "journal"},
    {"staleness"},
    {"registry"},
    {"catalog"},
    {"naming"},
    {"records"},
    {"schedule_states"},
    {"code_location"},
    {"launcher"},
    {
        "progress",
        "settings",
        "concurrency",
        "errors",
        "artifacts",
        "clock",
        "cron",
        "processes",
        "limits",
        "config_types",
    },
]
"""From the top: a module imports from its own layer and from those below."""

BESIDE = {
    "api",
    "cli",
    "code_server",
    "coordinator",
    "execution",
    "instance",
    "listening",
    "preloaded",
    "server_environment",
    "serving",
    "supervision",
    "__main__",
}
"""Beside `definitions`: they may import everything, and only each other imports them."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in (NAME, *parts) if part != "__init__")


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(path: Path) -> Iterator[str]:
    """Yield the modules of this package that a module imports, at its top or in its functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith(NAME))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(NAME):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module)


def part(module: str) -> str:
    """Return the first name below the package: `catalog` of `export_pipelines.catalog.keys`."""
    return module.removeprefix(NAME).removeprefix(".").partition(".")[0]


def rank(module: str) -> int:
    return next(level for level, layer in enumerate(LAYERS) if part(module) in layer)


PARTS = sorted({part(module) for module in MODULES} - {""})


def test_every_module_has_its_layer() -> None:
    assert set(PARTS) <= {name for layer in LAYERS for name in layer} | BESIDE
    assert len(MODULES) > 40


@pytest.mark.parametrize("name", [name for name in PARTS if name not in BESIDE])
def test_imports_go_down_only(name: str) -> None:
    found = 0
    for module, path in MODULES.items():
        if part(module) != name:
            continue
        for imported in imports(path):
            found += 1
            assert part(imported) not in BESIDE, f"{module} imports {imported}"
            if part(imported):
                assert rank(imported) >= rank(module), f"{module} imports {imported}"
    assert found or rank(f"{NAME}.{name}") == len(LAYERS) - 1


def test_only_what_stands_beside_it_imports_the_composition_root() -> None:
    importers = {
        part(module) for module, path in MODULES.items() if f"{NAME}.definitions" in imports(path)
    }
    assert importers == {"execution"}


def test_nothing_imports_the_command_line() -> None:
    for module, path in MODULES.items():
        if part(module) not in ("cli", "__main__"):
            assert "cli" not in {part(imported) for imported in imports(path)}, module


@pytest.mark.parametrize(
    ("lower", "higher"), [("catalog", "formats"), ("formats", "planning"), ("errors", "catalog")]
)
def test_lower_layers_know_nothing_of_higher_ones(lower: str, higher: str) -> None:
    for module, path in MODULES.items():
        if part(module) == lower:
            assert higher not in {part(imported) for imported in imports(path)}, module


@pytest.mark.parametrize(
    "name",
    [
        "artifacts",
        "catalog",
        "errors",
        "formats",
        "mapping",
        "planning",
        "readers",
        "store",
    ],
)
def test_the_core_knows_nothing_of_dagster(name: str) -> None:
    for module, path in MODULES.items():
        if part(module) == name:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in getattr(node, "names", [])]
                names.append(getattr(node, "module", None) or "")
                assert not any(one.partition(".")[0] == "dagster" for one in names), module


@pytest.mark.parametrize("module", list(MODULES))
def test_modules_import_absolutely_and_never_print(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a module says what belongs in it"
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.ImportFrom) and node.level), ast.dump(node)
        assert not (isinstance(node, ast.Name) and node.id == "print"), node
