"""JSON: an array of records, indented or one record a line, or JSON Lines.

Records are put together as text, column by column, by Polars: half as fast as its own NDJSON
writer, but able to indent and to carry stored JSON documents through as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from json import dumps, loads

import polars as pl
from pydantic import Field

from export_pipelines.artifacts import Column, FieldType, Segment, Sheet
from export_pipelines.catalog.columns import members, regrouped
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
    nests = True
    skips_blanks = True

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
        layout = _Layout(
            indent="" if options.json_lines or not options.pretty else "  ",
            skip_blanks=sheet.skip_blanks,
            resource_type=sheet.resource_type,
        )
        between = self.between(options)
        end = between.decode() or "\n"
        records = _objects(frame, sheet.columns, layout, 1)
        lead = pl.lit(layout.indent)
        texts = records.to_frame("object").select(
            pl.concat_str(lead, pl.col("object"), pl.lit(end))
        )
        data = memoryview(joined_bytes(texts.to_series()))
        return Encoded(data[: len(data) - len(between)])


@dataclass(frozen=True)
class _Layout:
    """How objects are laid out: `indent` is the blanks of a level, none for one line."""

    indent: str
    skip_blanks: bool
    resource_type: str

    @property
    def colon(self) -> str:
        return ": " if self.indent else ":"

    def line(self, level: int) -> str:
        """Return what begins a line at a level."""
        return f"\n{self.indent * level}" if self.indent else ""


def _objects(
    frame: pl.DataFrame, columns: Sequence[Column], layout: _Layout, level: int
) -> pl.Series:
    """Return each row as the text of a JSON object, which stands at a level of the file."""
    frame, values = plainly_named(_checked_documents(frame, columns, layout), columns)
    line, end = layout.line(level + 1), layout.line(level) + "}"
    pieces: list[pl.Expr] = []
    for column, value in zip(columns, values, strict=True):
        comma = "," if pieces or layout.skip_blanks else ""
        name = comma + line + dumps(column.name, ensure_ascii=False) + layout.colon
        text = _value(frame, value, layout, level)
        if not layout.skip_blanks:
            pieces += [pl.lit(name), text]
            continue
        piece = pl.concat_str(pl.lit(name), text)
        blank = _blank(frame, value, text)
        if blank.any():
            piece = pl.when(pl.lit(blank)).then(pl.lit("")).otherwise(piece)
        pieces.append(piece)
    if layout.skip_blanks:
        # Which member comes first is another one in each object: it loses its comma afterwards.
        text = pl.concat_str(pieces).str.slice(1)
        tail = pl.when(text == "").then(pl.lit("}")).otherwise(pl.lit(end))
        return frame.select(pl.concat_str(pl.lit("{"), text, tail)).to_series()
    return frame.select(pl.concat_str(pl.lit("{"), *pieces, pl.lit(end))).to_series()


def _value(frame: pl.DataFrame, column: Column, layout: _Layout, level: int) -> pl.Expr:
    value = pl.col(column.name)
    stored = frame.get_column(column.name)
    match column.type:
        case FieldType.STRING:
            if stored.str.contains(_ESCAPED).any():
                value = value.str.replace_many(_ESCAPES)
            text = pl.concat_str(pl.lit('"'), value, pl.lit('"'))
        case FieldType.DATETIME:
            text = value.dt.to_string(f'"{TIME_FORMAT}"')
        case FieldType.NUMBER:
            text = pl.when(value.is_finite()).then(value.cast(pl.String))
        case FieldType.OBJECT:
            objects = _objects(members(stored), column.columns, layout, level + 1)
            return pl.when(value.is_not_null()).then(pl.lit(objects)).otherwise(pl.lit("null"))
        case FieldType.ARRAY:
            return pl.lit(_arrays(stored, column, layout, level + 1))
        case _:
            text = value.cast(pl.String)
    may_be_null = column.type is FieldType.NUMBER or stored.null_count()
    return text.fill_null("null") if may_be_null else text


def _arrays(values: pl.Series, column: Column, layout: _Layout, level: int) -> pl.Series:
    """Return the texts of arrays of objects."""
    objects = _objects(members(values), column.columns, layout, level + 1)
    line = layout.line(level + 1)
    joined = regrouped(objects, values).list.join(f",{line}")
    text = pl.concat_str(pl.lit("[" + line), joined, pl.lit(layout.line(level) + "]"))
    empty = values.list.len() == 0
    return pl.select(pl.when(pl.lit(empty)).then(pl.lit("[]")).otherwise(text)).to_series()


def _blank(frame: pl.DataFrame, column: Column, text: pl.Expr) -> pl.Series:
    """Return which values are empty: null, an empty text, list, document, object or array."""
    values = frame.get_column(column.name)
    if column.type is FieldType.OBJECT:
        return frame.select(text.is_in(["{}", "null"])).to_series()
    blank = values.is_null()
    if column.type is FieldType.STRING:
        return blank | (values == "").fill_null(value=False)
    if column.type in (FieldType.JSON, FieldType.LIST):
        return blank | values.is_in(["[]", "{}", '""', "null"]).fill_null(value=False)
    if column.type is FieldType.NUMBER:
        return blank | values.is_finite().not_().fill_null(value=False)
    return values.list.len() == 0 if column.type is FieldType.ARRAY else blank


def _checked_documents(
    frame: pl.DataFrame, columns: Sequence[Column], layout: _Layout
) -> pl.DataFrame:
    """Return the frame with stored documents on one line each.

    Raises:
        DataError: one is not JSON, and would break the file that it is carried into.
    """
    for column in columns:
        if column.type not in (FieldType.JSON, FieldType.LIST):
            continue
        texts = values_of(frame, column)
        # Polars parses what it can, quickly; it also gives up on `null` and on huge numbers.
        doubtful = texts.filter(texts.is_not_null() & texts.str.json_path_match("$").is_null())
        if not all(map(_is_json, doubtful.unique())):
            raise DataError(
                f"{layout.resource_type}: a value of {column.name} is not valid JSON: correct it, "
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
