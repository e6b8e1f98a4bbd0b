"""The options of `export` and `profiles`: what a request can say, on a command line."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from export_pipelines.formats.base import Format

_SWITCHES = {
    "skip-ids": "Leave out the records' own ids.",
    "skip-rel-ids": "Leave out the ids of related resources.",
    "skip-timestamps": "Leave out created_at and updated_at.",
    "skip-blanks": "Leave out what is empty in each record; JSON only.",
    "skip-amount-formats": "Amounts as *_cents only.",
    "dry-data": "All skip options at once; blanks in JSON only.",
    "allow-empty": "Write files without records if none match.",
}


def request_options(output_format: Format[Any]) -> list[click.Option]:
    """Return the options for the fields of a format's run config, but for the resource type."""
    options = output_format.options.model_fields.items()
    return [*_shared_options(output_format), *(_option(name, found) for name, found in options)]


def _shared_options(output_format: Format[Any]) -> list[click.Option]:
    rows = output_format.default_max_rows_per_file
    compressions = output_format.compressions
    return [
        click.Option(
            ["--field", "fields"],
            multiple=True,
            metavar="NAME",
            help="A field to export: name, relation.name, relation.* or *; again for more, in this "
            "order. Default: all of its own.",
        ),
        click.Option(
            ["--exclude-field", "exclude_fields"],
            multiple=True,
            metavar="NAME",
            help="A field to leave out; again for more.",
        ),
        click.Option(
            ["--rename"],
            multiple=True,
            metavar="FIELD=HEADER",
            help="Another header for a field, such as customer.email=E-mail; again for more.",
        ),
        click.Option(
            ["--fixed", "fixed_columns"],
            multiple=True,
            metavar="HEADER=VALUE",
            help="A column with the same value in each record; again for more. 5, true and null "
            'are a number, a boolean and an empty field; "5" in double quotes is a text.',
        ),
        click.Option(
            ["--include", "includes"],
            multiple=True,
            metavar="RELATION",
            help="Related resources to export too, such as line_items.line_item_options; "
            "again for more.",
        ),
        click.Option(
            ["--filter", "filters"],
            multiple=True,
            metavar="PREDICATE=VALUE",
            help="Only records for which this holds, such as name_cont=FW, is_active=true or "
            "status_in=placed,approved; again for more, which must hold too. NAME=null: an empty "
            "field.",
        ),
        click.Option(
            ["--date-from"],
            metavar="DAY|TIME",
            help="Only records from this day or time on, in the shop's time zone.",
        ),
        click.Option(
            ["--date-to"],
            metavar="DAY|TIME",
            help="Only records until this day or time, all of which is included.",
        ),
        *(click.Option([f"--{name}"], is_flag=True, help=text) for name, text in _SWITCHES.items()),
        click.Option(
            ["--max-records"],
            type=click.IntRange(min=1),
            help="Refuse to export more records than this.",
        ),
        click.Option(
            ["--max-rows-per-file"],
            type=click.IntRange(min=1),
            help=f"Most records of one file. Default: {f'{rows:,}' if rows else 'one file'}.",
        ),
        click.Option(
            ["--compression"],
            type=click.Choice(compressions),
            help=f"Default: {compressions[0]}.",
        ),
        click.Option(
            ["--file-name"],
            help="Name of the files without number and ending, perhaps with {resource_type}, "
            "{format}, {run_id}, {date:%Y-%m-%d} and {part:05d}. Default: the resource type.",
        ),
        click.Option(
            ["--platform", "platforms"],
            multiple=True,
            metavar="NAME",
            help="A platform to deliver to as well, registered or of platforms.yaml; again for "
            "more. Default: all that are registered for automatic upload.",
        ),
        click.Option(
            ["--no-platforms"],
            is_flag=True,
            help="Deliver nowhere, not even to platforms that exports go to by themselves.",
        ),
    ]


def _option(name: str, found: FieldInfo) -> click.Option:
    flag = f"--{name.replace('_', '-')}"
    text = found.description or ""
    if found.annotation is bool:
        state = "on" if found.default else "off"
        both = f"{flag}/--no-{flag[2:]}"
        return click.Option([both, name], default=None, help=f"{text} Default: {state}.")
    if get_origin(found.annotation) is Literal:
        return click.Option([flag, name], type=click.Choice(get_args(found.annotation)), help=text)
    return click.Option([flag, name], multiple=True, help=f"{text} Again for more.")


def run_config(resource_type: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the run config of what was given; what was not is left to its default."""
    config: dict[str, Any] = {"resource_type": resource_type}
    given = {name: value for name, value in values.items() if name != "no_platforms"}
    if values.get("no_platforms"):
        if values.get("platforms"):
            raise click.UsageError("Choose one of --platform and --no-platforms.")
        config["platforms"] = []
    switches = {name.replace("-", "_") for name in _SWITCHES}
    for name, value in given.items():
        if value in (None, ()) or (value is False and name in switches):
            continue
        if name == "filters":
            config[name] = _filters(value)
        elif name == "rename":
            config[name] = _pairs(value, "--rename", "FIELD=HEADER")
        elif name == "fixed_columns":
            config[name] = _fixed_columns(value)
        else:
            config[name] = list(value) if isinstance(value, tuple) else value
    return config


def _filters(texts: Sequence[str]) -> dict[str, str | None]:
    pairs = _pairs(texts, "--filter", "FIELD=VALUE")
    return {name: None if value == "null" else value for name, value in pairs.items()}


def _fixed_columns(texts: Sequence[str]) -> dict[str, Any]:
    pairs = _pairs(texts, "--fixed", "HEADER=VALUE")
    return {header: _typed(value) for header, value in pairs.items()}


def _typed(text: str) -> Any:
    """Return the number, boolean, null or quoted text that a text is in JSON, or else the text."""
    if text.lstrip().startswith(("[", "{")):
        return text
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text


def _pairs(texts: Sequence[str], option: str, form: str) -> dict[str, str]:
    """Return names and values of an option.

    Raises:
        click.BadParameter: there is no `=` in a text, or two values for a name.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not {form}.", param_hint=option)
        if name in pairs:
            raise click.BadParameter(f"{name} has two values.", param_hint=option)
        pairs[name] = value
    return pairs
