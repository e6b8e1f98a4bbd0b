"""JSON: an array of records, indented or one record a line, or JSON Lines.

Records are put together as text, column by column, by Polars: half as fast as its own NDJSON
writer, but able to indent and to carry stored JSON documents through as they are.
"""

from collections.abc import Sequence
from json import dumps, loads
from typing import Any

import polars as pl
from pydantic import Field

from export_pipelines.artifacts import Column, FieldType, Segment, Sheet
from export_pipelines.errors import DataError
from export_pipelines.formats.base import Encoded, Options, TextFormat
from export_pipelines.formats.csv import TIME_FORMAT
from export_pipelines.formats.text import joined_bytes, plainly_named, values_of

_ESCAPES = {
    **{chr(code): f"\\u{code:04x}" for code in range(0x20)},
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    '"': '\\"',
    "\\": "\\\\",
}
_ESCAPED = r'["\\\x00-\x1f]'


class JsonOptions(Options):
    """How JSON files are written."""

    pretty: bool = Field(
        default=True,
        description="Indent by two spaces, one field a line. Otherwise one record a line.",
    )
    json_lines: bool = Field(
        default=False,
        description="Write one JSON object a line and no array around them (NDJSON, .jsonl), for "
        "programs that read as a stream. `pretty` then has no effect.",
    )


class JsonFormat(TextFormat[JsonOptions]):
    """JSON and JSON Lines."""

    name = "json"
    title = "JSON"
    options = JsonOptions

    def extension(self, options: JsonOptions) -> str:
        """Return `.json`, or `.jsonl` for JSON Lines."""
        return ".jsonl" if options.json_lines else ".json"

    def head(self, columns: Sequence[Column], options: JsonOptions) -> bytes:
        """Return the bracket that begins an array."""
        del columns
        return b"" if options.json_lines else b"[\n"

    def between(self, options: JsonOptions) -> bytes:
        """Return what stands between two records; in JSON Lines each ends its own line."""
        return b"" if options.json_lines else b",\n"

    def tail(self, options: JsonOptions) -> bytes:
        """Return what ends the last record and the array."""
        return b"" if options.json_lines else b"\n]\n"

    def encode(
        self, frame: pl.DataFrame, segment: Segment, sheet: Sheet, options: JsonOptions
    ) -> Encoded:
        """Return the rows as objects, with what stands between them."""
        del segment
        frame = _checked_documents(frame, sheet)
        indent = "" if options.json_lines or not options.pretty else "  "
        between = self.between(options)
        records = json_records(frame, sheet.columns, indent, between.decode() or "\n")
        data = memoryview(joined_bytes(records))
        return Encoded(data[: len(data) - len(between)])


def json_records(
    frame: pl.DataFrame, columns: Sequence[Column], indent: str, end: str
) -> pl.Series:
    """Return each row as the text of a JSON object, followed by `end`.

    Args:
        frame: the rows.
        columns: its columns.
        indent: blanks before an object; empty for an object on one line.
        end: what follows each object.
    """
    colon, comma = (": ", f",\n{indent * 2}") if indent else (":", ",")
    frame, values = plainly_named(frame, columns)
    pieces: list[Any] = [pl.lit(f"{indent}{{\n{indent * 2}" if indent else "{")]
    for number, (column, value) in enumerate(zip(columns, values, strict=True)):
        name = dumps(column.name, ensure_ascii=False) + colon
        pieces += [pl.lit(f"{comma if number else ''}{name}"), _value(frame, value)]
    pieces.append(pl.lit((f"\n{indent}}}" if indent else "}") + end))
    return frame.select(pl.concat_str(pieces)).to_series()


def _value(frame: pl.DataFrame, column: Column) -> pl.Expr:
    value = pl.col(column.name)
    match column.type:
        case FieldType.STRING:
            if frame.get_column(column.name).str.contains(_ESCAPED).any():
                value = value.str.replace_many(_ESCAPES)
            text = pl.concat_str(pl.lit('"'), value, pl.lit('"'))
        case FieldType.DATETIME:
            text = value.dt.to_string(f'"{TIME_FORMAT}"')
        case FieldType.NUMBER:
            text = pl.when(value.is_finite()).then(value.cast(pl.String))
        case _:
            text = value.cast(pl.String)
    may_be_null = column.type is FieldType.NUMBER or frame.get_column(column.name).null_count()
    return text.fill_null("null") if may_be_null else text


def _checked_documents(frame: pl.DataFrame, sheet: Sheet) -> pl.DataFrame:
    """Return the frame with stored documents on one line each.

    Raises:
        DataError: one is not JSON, and would break the file that it is carried into.
    """
    for column in sheet.columns:
        if column.type not in (FieldType.JSON, FieldType.LIST):
            continue
        texts = values_of(frame, column)
        # Polars parses what it can, quickly; it also gives up on `null` and on huge numbers.
        doubtful = texts.filter(texts.is_not_null() & texts.str.json_path_match("$").is_null())
        if not all(map(_is_json, doubtful.unique())):
            raise DataError(
                f"{sheet.resource_type}: a value of {column.name} is not valid JSON: correct it, "
                "or leave the field out with exclude_fields."
            )
        if texts.str.contains(r"[\r\n]").any():
            # Inside its texts JSON escapes line breaks, so these only lay it out.
            on_one_line = texts.str.replace_all(r"\s*[\r\n]\s*", " ")
            frame = frame.with_columns(on_one_line.alias(column.name))
    return frame


def _is_json(text: str) -> bool:
    try:
        loads(text, parse_constant=_refuse)
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}.")
