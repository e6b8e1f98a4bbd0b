"""What requests bring: made of the formats' own run config, so that both say the same."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from export_pipelines.artifacts import ExportRequest
from export_pipelines.config import config_schema
from export_pipelines.errors import RequestError
from export_pipelines.formats import FORMATS
from export_pipelines.registration.json_values import require_characters

_NUMBERS = ("max_records", "max_rows_per_file")
_PLATFORMS = (
    "Names or ids of registered platforms to deliver to. null: all that upload automatically. "
    "[]: none."
)

PlatformNames: TypeAlias = Annotated[list[str], Field(max_length=100)]
"""Names or ids of platforms, each of which is looked up."""


class Body(BaseModel):
    """A request's JSON: unknown fields and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def require_characters(cls, asked: Any) -> Any:
        """Refuse half characters, which no database keeps and no answer can repeat.

        Raises:
            RequestError: a name or a text has one.
        """
        for text in _texts(asked):
            require_characters(text, "The body")
        return asked


def _texts(asked: Any) -> Iterator[str]:
    """Yield all texts and names; bodies may be nested deeper than functions."""
    left = [asked]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            left += [*value, *value.values()]
        elif isinstance(value, list):
            left += value


class ExportBody(Body):
    """What every export may ask for."""

    include_fields: list[str] = Field(
        default=[], description="Another name of `fields` (P06): give only one of them."
    )

    def run_config(self) -> dict[str, Any]:
        """Return the run config of the export: only what was asked for.

        Raises:
            RequestError: fields are named twice.
        """
        asked = self.model_dump(exclude_unset=True)
        included = asked.pop("include_fields", [])
        if included and asked.get("fields"):
            raise RequestError("fields and include_fields are the same: give only one of them.")
        return {**asked, "fields": included} if included else asked


def export_body(format_name: str) -> type[ExportBody]:
    """Return what an export in a format may ask for."""
    output_format = FORMATS[format_name]
    schema = config_schema(output_format)
    fields: dict[str, Any] = {}
    for name, kind in _SHARED.items():
        fields[name] = (
            kind,
            Field(
                default=schema[name].default_value,
                description=schema[name].description,
                ge=1 if name in _NUMBERS else None,
            ),
        )
    compressions = Literal[tuple(output_format.compressions)]  # type: ignore[valid-type]
    fields["compression"] = (compressions, Field(**_said(schema, "compression")))
    fields["platforms"] = (PlatformNames | None, Field(default=None, description=_PLATFORMS))
    for name, option in output_format.options.model_fields.items():
        fields[name] = (option.annotation, option)
    title = f"{format_name.capitalize()}Export"
    made: type[ExportBody] = create_model(title, __base__=ExportBody, **fields)
    return made


def _said(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {"default": schema[name].default_value, "description": schema[name].description}


_SHARED = {
    name: kind
    for name, kind in get_type_hints(ExportRequest).items()
    if name not in ("format", "resource_type", "compression", "platforms", "options")
}
