"""What a mapping file may say, and what does not fit together."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from export_pipelines.errors import RequestError, one_of, shown, unknown
from export_pipelines.mapping.dates import check_pattern
from export_pipelines.readers.base import ROW

EVERYTHING_ELSE = "*"
"""In `ignore`: every header that is not used."""

BLANKS = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""White space as Unicode and Polars have it; Python's `strip` takes off four more characters."""

CASTS = ("split", "number", "date", "boolean", "values")

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]|[^{}]+")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""One text, or a list of them."""

Header = Annotated[str, Field(min_length=1)]


class _Form(BaseModel):
    """Keys that each have a value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, written: Any) -> Any:
        if not isinstance(written, Mapping):
            raise ValueError(f"Write keys with values, of {one_of(list(cls.model_fields))}.")
        for key, value in written.items():
            if key not in cls.model_fields:
                raise ValueError(unknown("key", key, list(cls.model_fields)))
            if value is None:
                raise ValueError(f"{key} has no value: write one, or remove {key}.")
        return written


class Number(_Form):
    """How numbers are written."""

    decimal_mark: Literal[".", ","] = "."
    group_mark: Literal["", ".", ",", " ", "'", "_"] = ""
    multiply: Decimal = Field(default=Decimal(1), gt=0, max_digits=18)

    @model_validator(mode="after")
    def _check_marks(self) -> "Number":
        if self.decimal_mark == self.group_mark:
            raise ValueError(
                f"decimal_mark and group_mark are both {shown(self.group_mark)}: "
                "they must differ, and decimal_mark is '.' if it is not written."
            )
        return self


class Boolean(_Form):
    """The words for true and false."""

    true: Texts = ()
    false: Texts = ()

    @model_validator(mode="after")
    def _check_words(self) -> "Boolean":
        if not self.true + self.false:
            raise ValueError("Write words for true, for false or for both.")
        if any(not word.strip(BLANKS) for word in self.true + self.false):
            raise ValueError("A word for true or false is empty: use default for empty cells.")
        for word in self.true:
            if word.lower() in [other.lower() for other in self.false]:
                raise ValueError(f"{shown(word)} is a word for both true and false.")
        return self


class ColumnRule(_Form):
    """What fills one field."""

    column: Header | None = None
    constant: str | None = None
    text: str | None = None
    default: str | None = None
    split: Annotated[str, Field(min_length=1)] | None = None
    number: Number | None = None
    date: str | None = None
    boolean: Boolean | None = None
    values: dict[str, str | None] | None = None
    otherwise: Literal["keep", "empty", "refuse"] = "refuse"

    @model_validator(mode="before")
    @classmethod
    def _from_header(cls, written: Any) -> Any:
        return {"column": written} if isinstance(written, str) else written

    @field_validator("date")
    @classmethod
    def _check_date(cls, pattern: str) -> str:
        check_pattern(pattern)
        return pattern

    @field_validator("text")
    @classmethod
    def _check_text(cls, text: str) -> str:
        if not any(is_header for is_header, _ in text_tokens(text)):
            raise ValueError("No header in braces is in it: use constant for a fixed text.")
        return text

    @field_validator("values")
    @classmethod
    def _check_values(cls, values: dict[str, str | None]) -> dict[str, str | None]:
        trimmed = {value.strip(BLANKS): becomes for value, becomes in values.items()}
        if not trimmed or "" in trimmed:
            raise ValueError("Write each value and what becomes of it; default is for empty cells.")
        if len(trimmed) < len(values):
            raise ValueError("Two values differ only in the blanks around them.")
        return trimmed

    @model_validator(mode="after")
    def _check_together(self) -> "ColumnRule":
        written = self.model_fields_set
        if len(written & {"column", "constant", "text"}) != 1:
            raise ValueError("Write one of column, constant and text.")
        casts = [name for name in CASTS if name in written]
        if len(casts) > 1:
            raise ValueError(f"{one_of(casts)} do not go together: keep one.")
        if casts and self.column is None:
            raise ValueError(f"{casts[0]} needs column, a header.")
        if "otherwise" in written and self.values is None:
            raise ValueError("otherwise needs values.")
        if "default" in written and self.constant is not None:
            raise ValueError("default does not go with constant: keep one.")
        return self

    @property
    def is_cast(self) -> bool:
        """Whether cells become other ones than they are."""
        return not self.model_fields_set.isdisjoint(CASTS)

    @property
    def sources(self) -> tuple[str, ...]:
        """The headers that it uses."""
        if self.text is not None:
            return tuple(token for is_header, token in text_tokens(self.text) if is_header)
        return (self.column,) if self.column is not None else ()


class Reading(_Form):
    """How the file is read."""

    format: Literal["auto", "csv", "json", "jsonl", "excel", "parquet"] = "auto"
    encoding: Literal["auto", "utf-8", "utf-16", "latin-1"] = "auto"
    delimiter: Literal["auto", ",", ";", "\t", "|"] = "auto"
    sheet: str = ""
    sanitized: bool = False


class MappingForm(_Form):
    """All that a mapping file says."""

    resource_type: Header | None = None
    read: Reading = Reading()
    columns: dict[Header, ColumnRule] = Field(min_length=1)
    ignore: Texts = ()

    @model_validator(mode="after")
    def _check_ignored(self) -> "MappingForm":
        for target, rule in self.columns.items():
            if ROW in (target, *rule.sources):
                raise ValueError(f"{shown(ROW)} cannot be used: it has the rows' numbers.")
            for header in rule.sources:
                if header in self.ignore:
                    raise ValueError(f"{shown(header)} is ignored, but fills {target}: keep one.")
        return self


@dataclass(frozen=True)
class ColumnMapping:
    """A mapping file that was read.

    Attributes:
        path: the file, as messages name it.
        resource_type: the only one that it may be used for; empty for any.
        read: reading options that it sets, by name.
        columns: what fills each field, in order.
        ignore: headers that are left out, perhaps `*`.
    """

    path: str
    resource_type: str
    read: Mapping[str, Any]
    columns: Mapping[str, ColumnRule]
    ignore: tuple[str, ...]

    def check_resource_type(self, resource_type: str) -> None:
        """Refuse to be used for another resource type than the file is for.

        Raises:
            RequestError: it is for another one.
        """
        if self.resource_type not in ("", resource_type):
            raise RequestError(
                f"{self.path} maps {self.resource_type}, not {resource_type}: choose another "
                "mapping file or resource type."
            )


def text_tokens(text: str) -> list[tuple[bool, str]]:
    """Return what a text is made of: whether each piece is a header, and the piece.

    Raises:
        ValueError: a brace has no other, or nothing is between two.
    """
    tokens = []
    for found in _TOKEN.finditer(text):
        piece, header = found[0], found[1]
        if piece in ("{", "}"):
            raise ValueError(
                f"A brace at character {found.start() + 1} belongs to no header: "
                f"write {piece}{piece} for a brace itself."
            )
        literal = piece[0] if piece in ("{{", "}}") else piece
        tokens.append((True, header) if header else (False, literal))
    return tokens
