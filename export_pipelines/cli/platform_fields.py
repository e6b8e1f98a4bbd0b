"""The fields of a platform on a command line, which holds no secrets."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

_FIELDS = [
    click.option(
        "--set",
        "literals",
        multiple=True,
        metavar="FIELD=VALUE",
        help="A field that is no secret; again for more.",
    ),
    click.option(
        "--secret",
        "asked",
        multiple=True,
        metavar="FIELD",
        help="A secret field: asked for in a terminal, otherwise a line of the standard input.",
    ),
    click.option(
        "--secret-file",
        "files",
        multiple=True,
        metavar="FIELD=PATH",
        help="A secret field that is the content of a file, such as a private key.",
    ),
    click.option(
        "--env",
        "variables",
        multiple=True,
        metavar="FIELD=VARIABLE",
        help="A field that is read from a variable whenever the platform is opened; it is not "
        "stored.",
    ),
    click.option(
        "--auto-upload/--no-auto-upload",
        default=None,
        help="Whether exports that name no platforms go there. Default: on.",
    ),
]


def with_fields(command: Any) -> Any:
    """Return a command with the options for a platform's fields."""
    for option in reversed(_FIELDS):
        command = option(command)
    return command


def given_fields(
    platform_type: str,
    *,
    literals: Sequence[str],
    asked: Sequence[str],
    files: Sequence[str],
    variables: Sequence[str],
) -> dict[str, Any]:
    """Return fields as they were given on the command line, which holds no secrets.

    Raises:
        RequestError: a secret stands in the command line, is empty, or is none of the type's.
    """
    from export_pipelines.config_types import is_secret
    from export_pipelines.errors import RequestError
    from export_pipelines.platforms import PLATFORMS

    kind = PLATFORMS.get(platform_type)
    known = kind.model_fields if kind else {}
    fields: dict[str, Any] = {}
    for name, value in _pairs(literals, "--set"):
        if name in known and is_secret(known[name]):
            raise RequestError(
                f"{name} is a secret, and a command line is seen by others: use --secret {name}, "
                f"--secret-file {name}=PATH or --env {name}=VARIABLE."
            )
        fields[name] = value
    secrets: list[tuple[str, str | None]] = [(name, None) for name in asked]
    secrets += _pairs(files, "--secret-file")
    for name, path in secrets:
        if name in known and not is_secret(known[name]):
            raise RequestError(f"{name} is no secret, and would be shown: use --set {name}=VALUE.")
        fields[name] = _secret(name, path)
    for name, variable in _pairs(variables, "--env"):
        fields[name] = {"env": variable}
    return fields


def _pairs(texts: Sequence[str], option: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not FIELD=VALUE.", param_hint=option)
        pairs.append((name, value))
    return pairs


def _secret(name: str, path: str | None) -> str:
    from export_pipelines.errors import RequestError

    value = _read_secret(name) if path is None else _content(Path(path))
    if not value:
        place = "the standard input" if path is None else path
        raise RequestError(f"The secret {name} is empty: write it to {place}, or leave it out.")
    return value


def _read_secret(name: str) -> str:
    if sys.stdin.isatty():
        return str(click.prompt(name, hide_input=True))
    return sys.stdin.readline().rstrip("\r\n")


def _content(path: Path) -> str:
    from export_pipelines.errors import RequestError

    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise RequestError(f"{path} cannot be read: {reason}.") from None
