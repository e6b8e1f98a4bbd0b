"""The time, as everything here writes it down."""

from datetime import datetime, timezone


def now() -> str:
    """Return the time as ISO 8601 in UTC, in milliseconds."""
    return written(datetime.now(timezone.utc))


def written(moment: datetime) -> str:
    """Return a time with its zone as ISO 8601 in UTC, in milliseconds."""
    text = moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def seconds_of(text: str) -> float:
    """Return the seconds since 1970 of a time of `now`."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
