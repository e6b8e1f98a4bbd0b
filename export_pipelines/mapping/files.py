"""Mapping files, read from disk: every value a text, nothing that YAML makes of it."""

import os
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from export_pipelines import settings
from export_pipelines.errors import RequestError, shown, unknown
from export_pipelines.mapping.form import ColumnMapping, MappingForm

MAX_BYTES = 1_000_000
"""Largest mapping file."""

_ENDINGS = (".yaml", ".yml")
_NULL = "tag:yaml.org,2002:null"


def mapping_path(name: str) -> Path:
    """Return where a mapping file is; it need not be there.

    Args:
        name: a path, with a slash or an ending `.yaml` or `.yml`; or the name of a file in the
            folder of mapping files, without its ending.

    Raises:
        RequestError: the name is empty.
    """
    if not name.strip():
        raise RequestError("The name of the mapping file is empty: write one, or leave it out.")
    return Path(name) if is_path(name) else settings.mappings_folder() / f"{name}{_ENDINGS[0]}"


def is_path(name: str) -> bool:
    """Return whether a mapping file is named by its path, which may lead anywhere."""
    return name.endswith(_ENDINGS) or "/" in name or os.sep in name


def read_mapping(path: Path) -> ColumnMapping:
    """Return what a mapping file says.

    Raises:
        RequestError: the file is not there, too large, no YAML, or says something else than
            mapping files may; with the line or the key.
    """
    content = _content(path, _text(path))
    try:
        form = MappingForm.model_validate(content)
    except ValidationError as error:
        raise RequestError(f"{path}{_problem(error)}") from None
    return ColumnMapping(
        path=str(path),
        resource_type=form.resource_type or "",
        read=form.read.model_dump(exclude_unset=True),
        columns=form.columns,
        ignore=form.ignore,
    )


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise RequestError(_not_there(path))
        with path.open("rb") as source:
            data = source.read(MAX_BYTES + 1)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > MAX_BYTES:
        raise RequestError(
            f"{path} is larger than {MAX_BYTES:,} bytes, the most of a mapping file."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RequestError(f"{path} is no text in UTF-8: save it as UTF-8.") from None


def _not_there(path: Path) -> str:
    names = sorted(other.stem for other in path.parent.glob(f"*{_ENDINGS[0]}"))
    if not names:
        return f"There is no mapping file {path}."
    return f"{unknown('mapping file', path.stem, names)} They are in {path.parent}."


class _TextLoader(yaml.SafeLoader):
    """YAML of texts, lists and mappings, without what makes a file mean more than it shows."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as yaml declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag == _NULL]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuse anchors, aliases and tags."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse(
                "anchors and aliases (& and *) are not allowed; use quotes in texts", event
            )
        if getattr(event, "tag", None):
            self._refuse("tags (!) are not allowed; use quotes in texts", event)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse keys that come twice or are nothing."""
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _NULL:
                self._refuse("a key must be a text; use quotes for ~ and null", key)
            if key.value in seen:
                self._refuse(f"the key {shown(key.value)} comes twice", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """Refuse what no text of the catalogue can hold."""
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in node.value):
            self._refuse("a text has a character that cannot be stored", node)
        return super().construct_scalar(node)

    def _refuse(self, problem: str, where: Any) -> NoReturn:
        raise yaml.composer.ComposerError(None, None, problem, where.start_mark)


def _content(path: Path, text: str) -> Any:
    loader = None
    try:
        loader = _TextLoader(text)
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark or error.context_mark
        line = f" in line {where.line + 1}" if where else ""
        raise RequestError(f"{path} cannot be used{line}: {error.problem}.") from None
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, error.position) + 1
        raise RequestError(
            f"{path} cannot be used in line {number}: it has a character that cannot be seen."
        ) from None
    except RecursionError:
        raise RequestError(f"{path} cannot be used: it is nested too deeply.") from None
    finally:
        if loader:
            loader.dispose()


def _problem(error: ValidationError) -> str:
    """Return the key that is wrong, and what is wrong with it."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"] if part != "[key]")
    sentence = str(first.get("ctx", {}).get("error", "")) or f"{first['msg']}."
    if first["type"] == "string_type":
        sentence = "Write one text here."
    if first["type"] == "missing":
        sentence = "It must be there."
    return f", {place}: {sentence}" if place else f": {sentence}"
