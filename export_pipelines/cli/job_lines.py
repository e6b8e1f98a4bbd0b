"""A job in lines for a person."""

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from export_pipelines.cli.job_downloads import Job
from export_pipelines.clock import seconds_of

_COLUMNS = "{:<36}  {:<10}  {:<8}  {:<20}  {:>11}  {:<20}  {:>8}"
HEADINGS = _COLUMNS.format("id", "status", "format", "resource type", "records", "created", "took")
"""What is above the columns of `line_of`."""

_MINUTE = 60
_HOUR = 3_600


def line_of(job: Job) -> str:
    """Return a job as a line of a list; an import has the word `import` for its format."""
    records = records_of(job)
    return _COLUMNS.format(
        _plain(job["id"]),
        _plain(job["status"]),
        _plain(job.get("format") or job["kind"]),
        _plain(job["resource_type"]),
        "" if records is None else f"{records:,}",
        _plain(job["created_at"][:19] + "Z"),
        took(job),
    ).rstrip()


def records_of(job: Job) -> int | None:
    """Return the records of an export, or the rows of an import; None if they are not counted."""
    found: int | None = job.get("total_records", job.get("rows"))
    return found


def took(job: Job) -> str:
    """Return how long a job took, or has taken until now; empty before it began."""
    if not job.get("started_at"):
        return ""
    end = job.get("completed_at")
    last = seconds_of(end) if end else datetime.now(timezone.utc).timestamp()
    seconds = max(0.0, last - seconds_of(job["started_at"]))
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), _MINUTE)
    if seconds < _HOUR:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // _MINUTE}:{minutes % _MINUTE:02} h"


def progress_of(job: Job) -> str:
    """Return how far a job is: status, percent, step, records, files."""
    records = records_of(job)
    words = (
        job.get("state") or job["status"],
        f"{job['progress']} %",
        job.get("step") or "",
        "" if records is None else f"{records:,} records",
        f"files {job['parts']}" if job.get("parts") else "",
    )
    return "  ".join(_plain(word) for word in words if word)


def ending(job: Job) -> str:
    """Return how a job that has ended did so, in one or two sentences."""
    name = f"{job['kind'].capitalize()} {job['id']}"
    error = job.get("error") or {}
    if job["status"] == "completed":
        said = f"{name} is completed after {took(job)}."
    else:
        said = f"{name} {'has failed' if job['status'] == 'failed' else 'was cancelled'}."
        said = " ".join(filter(None, (said, str(error.get("detail") or ""))))
    return _plain(said)


def shown_values(job: Job) -> Iterator[tuple[str, str]]:
    """Yield what is to be said of a job, each with its name, a line for each of several."""
    for title, value in job.items():
        if value is None or value == []:
            continue
        for each in value if isinstance(value, list) else [value]:
            yield title, _text(each)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = {name: each for name, each in value.items() if each is not None}
    return _plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _plain(text: Any) -> str:
    """Return a text in one line, of characters that a terminal shows."""
    return str(text) if str(text).isprintable() else repr(str(text))
