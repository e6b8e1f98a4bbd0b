"""Where things are, by environment variables; read when they are needed, never at import.

`EXPORT_PIPELINES_HOME`: the one folder for everything that is written, `data` here by default.
`DATABASE_URL`: the catalogue, `shop.db` in that folder by default.
`EXPORT_PIPELINES_PLATFORMS`: the file of platforms by name, `platforms.yaml` here by default.
`EXPORT_PIPELINES_REGISTRY_URL`: the registry, `registry.db` in the home folder by default.
`EXPORT_PIPELINES_SECRET_KEY`: the key of its secrets, `registry.key` there by default.
`EXPORT_PIPELINES_STORE`: the platform that keeps exports; a folder in the home folder by default.
`EXPORT_PIPELINES_LOG_LEVEL`: from which level a run's log goes to the console, INFO by default.
`EXPORT_PIPELINES_ORGANIZATION`: whose exports these are, `default` by default.
`EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS`: how many an organization may have at once, 10 by default.
`EXPORT_PIPELINES_MAX_RECORDS`: most records of one export, no limit by default.
`EXPORT_PIPELINES_TIME_ZONE`: the shop's, of times that do not say theirs; UTC by default.
`EXPORT_PIPELINES_KEEP_EXPORTS_DAYS`, `..._STAGING_...`, `..._IMPORTS_...`, `..._RUNS_...`,
`..._TICKS_...`: for how many days after their end these are kept, or `none` for ever.
`EXPORT_PIPELINES_PUBLIC_URL`: where others reach the web server, for links to it; in its own
answers the address that was asked by default, elsewhere http://127.0.0.1:3000.
`EXPORT_PIPELINES_WEBHOOK_HOSTS`: hosts and networks of one's own that webhooks may go to, with
commas; only public addresses by default.
`EXPORT_PIPELINES_REQUESTS_PER_MINUTE`: how many requests an API key may make, or `none`; 600 by
default.
"""

import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from export_pipelines.errors import RequestError, shown

_DIGITS = 19
_CODE_LETTERS = 3
_ORGANIZATION_CHARACTERS = 100
_KEPT_DAYS = {
    "exports": ("EXPORT_PIPELINES_KEEP_EXPORTS_DAYS", 30),
    "staging": ("EXPORT_PIPELINES_KEEP_STAGING_DAYS", 7),
    "imports": ("EXPORT_PIPELINES_KEEP_IMPORTS_DAYS", 90),
    "runs": ("EXPORT_PIPELINES_KEEP_RUNS_DAYS", 90),
    "ticks": ("EXPORT_PIPELINES_KEEP_TICKS_DAYS", 30),
}
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def home_folder() -> Path:
    """Return the folder of the catalogue, the exports, the staging area and Dagster's records."""
    return Path(os.environ.get("EXPORT_PIPELINES_HOME") or "data").resolve()


def database_url() -> str:
    """Return the catalogue's database; it may hold a password."""
    return os.environ.get("DATABASE_URL") or f"sqlite:///{home_folder() / 'shop.db'}"


def exports_folder() -> Path:
    """Return the folder of the export store, if no platform is: a folder for each export."""
    return home_folder() / "exports"


def platforms_file() -> Path:
    """Return the file that names platforms; it need not be there."""
    return Path(os.environ.get("EXPORT_PIPELINES_PLATFORMS") or "platforms.yaml").resolve()


def registry_url() -> str:
    """Return the registry's database; it may hold a password."""
    default = f"sqlite:///{home_folder() / 'registry.db'}"
    return os.environ.get("EXPORT_PIPELINES_REGISTRY_URL") or default


def secret_key() -> str:
    """Return the key of the registry's secrets, or several with commas; empty for a file's."""
    return os.environ.get("EXPORT_PIPELINES_SECRET_KEY", "")


def secret_key_file() -> Path:
    """Return the file of the key of the registry's secrets, which is made on first use."""
    return home_folder() / "registry.key"


def store_platform() -> str:
    """Return the name of the platform that is the export store; empty for a local folder."""
    return os.environ.get("EXPORT_PIPELINES_STORE", "")


def staging_folder() -> Path:
    """Return where unfinished exports are worked on; best on the same disk as the export store."""
    return home_folder() / "staging"


def dagster_folder() -> Path:
    """Return where Dagster keeps runs, events and schedules."""
    return home_folder() / "dagster"


def log_level() -> str:
    """Return the level from which a run's log goes to the console; INFO for an unknown one."""
    level = os.environ.get("EXPORT_PIPELINES_LOG_LEVEL", "").upper()
    return level if level in _LOG_LEVELS else "INFO"


def organization() -> str:
    """Return whose exports these are if a run does not say.

    Raises:
        RequestError: it is longer than 100 characters, or has some that cannot be seen.
    """
    name = os.environ.get("EXPORT_PIPELINES_ORGANIZATION") or "default"
    if len(name) > _ORGANIZATION_CHARACTERS or not name.isprintable():
        raise RequestError(
            f"EXPORT_PIPELINES_ORGANIZATION is {shown(name)}: set it to 1 to "
            f"{_ORGANIZATION_CHARACTERS} characters that can be seen."
        )
    return name


def max_active_exports() -> int:
    """Return how many exports an organization may have pending or running at once.

    Raises:
        RequestError: it is no whole number of 1 or more.
    """
    return _positive("EXPORT_PIPELINES_MAX_ACTIVE_EXPORTS") or 10


def max_records() -> int | None:
    """Return the most records of one export, None for no limit.

    Raises:
        RequestError: it is no whole number of 1 or more.
    """
    return _positive("EXPORT_PIPELINES_MAX_RECORDS")


def time_zone() -> str:
    """Return the name of the shop's time zone.

    Raises:
        RequestError: there is no such time zone.
    """
    name = os.environ.get("EXPORT_PIPELINES_TIME_ZONE") or "UTC"
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RequestError(
            f"EXPORT_PIPELINES_TIME_ZONE is {shown(name)}, which is no time zone: "
            "use a name such as Europe/Paris, or UTC."
        ) from None
    return name


def currency() -> str:
    """Return the currency of amounts and of new rows where an imported file names none.

    Raises:
        RequestError: it is no code of three capital letters.
    """
    code = os.environ.get("EXPORT_PIPELINES_CURRENCY") or "EUR"
    if not (len(code) == _CODE_LETTERS and code.isascii() and code.isalpha() and code.isupper()):
        raise RequestError(
            f"EXPORT_PIPELINES_CURRENCY is {shown(code)}: set it to a code such as EUR."
        )
    return code


def imports_folder() -> Path:
    """Return the drop folder: `incoming`, `processing`, `done` and `failed` are in it."""
    return Path(
        os.environ.get("EXPORT_PIPELINES_DROP_FOLDER") or home_folder() / "imports"
    ).resolve()


def imports_file() -> Path:
    """Return the file that says how dropped files are imported; it need not be there."""
    return Path(os.environ.get("EXPORT_PIPELINES_IMPORTS") or "imports.yaml").resolve()


def mappings_folder() -> Path:
    """Return where mapping files are looked for by name."""
    return Path(os.environ.get("EXPORT_PIPELINES_MAPPINGS") or "mappings").resolve()


def max_import_rows() -> int | None:
    """Return the most rows of an imported file, its header included; None for any number.

    Raises:
        RequestError: it is no whole number of 1 or more, nor `none`.
    """
    return _limit("EXPORT_PIPELINES_MAX_IMPORT_ROWS", 50_000)


def max_import_bytes() -> int | None:
    """Return the most bytes of an imported file, packed and unpacked; None for any number.

    Raises:
        RequestError: it is no whole number of 1 or more, nor `none`.
    """
    return _limit("EXPORT_PIPELINES_MAX_IMPORT_BYTES", 50_000_000)


def keep_days(kind: str) -> int | None:
    """Return for how many days what is old of a kind is kept; None for ever.

    Args:
        kind: `exports`, `staging`, `imports`, `runs` or `ticks`.

    Raises:
        RequestError: it is no whole number of 1 or more, nor `none`.
    """
    return _limit(*_KEPT_DAYS[kind])


def public_url(default: str = "http://127.0.0.1:3000") -> str:
    """Return where others reach the web server, without a slash at its end.

    Args:
        default: where it is if nobody says; may be empty.

    Raises:
        RequestError: it is no address of a web server.
    """
    address = os.environ.get("EXPORT_PIPELINES_PUBLIC_URL") or default
    if address and not address.startswith(("http://", "https://")):
        raise RequestError(
            f"EXPORT_PIPELINES_PUBLIC_URL is {shown(address)}: set it to an address such as "
            "https://exports.example.com."
        )
    return address.rstrip("/")


def webhook_hosts() -> list[str]:
    """Return the private hosts, addresses and networks that webhooks may go to."""
    given = os.environ.get("EXPORT_PIPELINES_WEBHOOK_HOSTS", "")
    return [host.strip() for host in given.split(",") if host.strip()]


def requests_per_minute() -> int | None:
    """Return how many requests an API key may make in a minute; None for any number.

    Raises:
        RequestError: it is no whole number of 1 or more, nor `none`.
    """
    return _limit("EXPORT_PIPELINES_REQUESTS_PER_MINUTE", 600)


def _limit(variable: str, default: int) -> int | None:
    if os.environ.get(variable, "").lower() == "none":
        return None
    return _positive(variable) or default


def _positive(variable: str) -> int | None:
    value = os.environ.get(variable)
    if not value:
        return None
    limit = int(value) if value.isdecimal() and len(value) < _DIGITS else 0
    if limit < 1:
        raise RequestError(f"{variable} is {shown(value)}: set it to a whole number of 1 or more.")
    return limit
