"""`export-pipelines jobs`: exports and imports, those of this home folder or of a server."""

import json
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from heapq import merge
from itertools import chain, islice
from typing import NoReturn

import click

from export_pipelines.cli.job_downloads import Job, bring, chosen_files, targets
from export_pipelines.cli.job_lines import (
    HEADINGS,
    ending,
    line_of,
    progress_of,
    shown_values,
)
from export_pipelines.cli.job_places import Jobs, ServerUnavailable, opened, with_place
from export_pipelines.cli.terminal import exit_code
from export_pipelines.clock import written
from export_pipelines.errors import Interrupted, RequestError, shown

_KINDS = ("export", "import")
_POLL_SECONDS = 1.0
_AWAY_SECONDS = 300
_DATE_CHARACTERS = 10
STATUSES = ("processing", "pending", "in_progress", "completed", "failed", "cancelled")


@click.group()
def jobs() -> None:
    """Lists, follows, cancels, resumes and downloads exports and imports.

    They are those of this home folder. With --server they are those of a server, as its API key
    sees them. Put the key into the variable EXPORT_PIPELINES_API_KEY, or into a file for
    --key-file: other users of this machine can see what is on a command line.
    """


@jobs.command("list")
@click.option("--kind", type=click.Choice(_KINDS), help="Default: both.")
@click.option("--format", "format", metavar="NAME", help="Exports in that format.")
@click.option("--resource-type", metavar="NAME", help="What they export or import.")
@click.option("--status", type=click.Choice(STATUSES), help="Only those that are so.")
@click.option("--created-from", metavar="TIME", help="2026-01-31, or 2026-01-31T09:00Z; UTC.")
@click.option("--created-to", metavar="TIME", help="The same; of a date the whole day.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most."
)
@click.option("--all", "is_all", is_flag=True, help="All of them, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="Print each as a line of JSON.")
@with_place
def list_jobs(
    *, kind: str | None, limit: int, is_all: bool, as_json: bool, **given: str | None
) -> None:
    """Lists jobs, the newest first."""
    place = {name: given.pop(name) for name in ("server", "key_file", "key")}
    with opened(**place) as found:
        filters = _filters(given)
        kinds = _KINDS if kind is None else (kind,)
        if kind is None and "format" in filters:
            kinds = ("export",)
        most = None if is_all else limit
        # One more tells whether there are more.
        each = [found.listed(name, filters, most and most + 1) for name in kinds]
        newest = merge(*each, key=lambda job: str(job["created_at"]), reverse=True)
        # Who is refused sees no headings.
        first = list(islice(newest, 1))
        if not as_json:
            click.echo(HEADINGS)
        for job in chain(first, islice(newest, most and most - 1)):
            click.echo(json.dumps(job, ensure_ascii=False) if as_json else line_of(job))
        if most and next(newest, None) is not None:
            click.echo("There are more: see --limit and --all.", err=True)


def _filters(given: Mapping[str, str | None]) -> dict[str, str]:
    """Return filters by the names of the API's parameters."""
    filters = {name: value for name, value in given.items() if value is not None}
    for name in ("created_from", "created_to"):
        if name in filters:
            filters[name] = _moment(name, filters[name])
    return filters


def _moment(name: str, text: str) -> str:
    """Return a time in UTC, of a date its beginning or its end.

    Raises:
        RequestError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        if name == "created_to" and len(text) == _DATE_CHARACTERS:
            moment += timedelta(days=1, milliseconds=-1)
        return written(moment)
    except (ValueError, OverflowError):
        option = name.replace("_", "-")
        raise RequestError(
            f"--{option}: {shown(text)} is no time: write it as 2026-01-31 or 2026-01-31T09:00Z."
        ) from None


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@with_place
def show(job_id: str, *, as_json: bool, **place: str | None) -> None:
    """Shows a job. On this machine the first 6 characters of its id may do."""
    with opened(**place) as found:
        job = found.find(_checked(job_id))
        if as_json:
            click.echo(json.dumps(job, indent=2, ensure_ascii=False))
            return
        for title, value in shown_values(job):
            click.echo(f"{title:<18} {value}")


@jobs.command()
@click.argument("job_id", metavar="ID")
@with_place
def watch(job_id: str, **place: str | None) -> None:
    """Follows a job to its end, and exits as it does: 0 when it is completed.

    Ctrl-C ends the watching, not the job.
    """
    with opened(**place) as found:
        _end(_follow(found, found.find(_checked(job_id))))


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.option("--wait", "is_waiting", is_flag=True, help="Wait until it has ended.")
@with_place
def cancel(job_id: str, *, is_waiting: bool, **place: str | None) -> None:
    """Cancels a job that waits or is at work."""
    with opened(**place) as found:
        job: Job = found.cancel(found.find(_checked(job_id)))
        while is_waiting and not _has_ended(job):
            job = _later(found, job)
        said = ending(job) if _has_ended(job) else f"{job['id']} was told to end."
        click.echo(said)
        if is_waiting and job["status"] != "cancelled":
            sys.exit(1)


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.option("--watch", "is_watched", is_flag=True, help="Follow the new job to its end.")
@with_place
def resume(job_id: str, *, is_watched: bool, **place: str | None) -> None:
    """Goes on with a job that failed, from what it had finished, as a new job.

    A server does that by itself; without one it is done here, to its end.
    """
    with opened(**place) as found:
        job: Job = found.resume(found.find(_checked(job_id)))
        click.echo(f"Resumed as {job['id']}.")
        if is_watched:
            job = _follow(found, job)
        if _has_ended(job):
            _end(job)


@jobs.command()
@click.argument("job_id", metavar="ID")
@click.option(
    "-o",
    "--output",
    metavar="FILE|FOLDER",
    help="Where to. Default: the current folder, and the file's own name.",
)
@click.option("--part", metavar="NAME", help="One of its files. Default: all.")
@click.option("--force", is_flag=True, help="Replace different files that are there.")
@with_place
def download(
    job_id: str, *, output: str | None, part: str | None, force: bool, **place: str | None
) -> None:
    """Downloads the files of an export, and checks them.

    They get their names when they are whole. One that was interrupted goes on where it was.
    """
    with opened(**place) as found:
        job = found.find(_checked(job_id))
        files = chosen_files(job, part)
        for file, target in zip(files, targets(files, output), strict=True):
            is_new = bring(job, file, target, found.fetch, force=force)
            said = f"{file['rows']:,} rows, {file['bytes']:,} bytes"
            click.echo(f"{target}  {said}{'' if is_new else ', there already'}")


def _checked(job_id: str) -> str:
    """Return an id that can be one.

    Raises:
        RequestError: it cannot.
    """
    if not (job_id.isascii() and job_id.replace("-", "").isalnum()):
        raise RequestError(f"{shown(job_id)} is no job's id: see export-pipelines jobs list.")
    return job_id


def _has_ended(job: Job) -> bool:
    return str(job["status"]) != "processing"


def _follow(found: Jobs, job: Job) -> Job:
    """Show a job's progress until it has ended."""
    on_terminal = sys.stdout.isatty()
    last = ""
    try:
        while True:
            line = progress_of(job)
            if line != last:
                click.echo(f"\r\x1b[K{line}" if on_terminal else line, nl=not on_terminal)
            last = line
            if _has_ended(job):
                break
            job = _later(found, job)
    except KeyboardInterrupt:
        click.echo(
            f"\nThe job goes on: 'export-pipelines jobs watch {job['id']}' follows it again.",
            err=True,
        )
        sys.exit(Interrupted.exit_code)
    if on_terminal:
        click.echo()
    return job


def _later(found: Jobs, job: Job) -> Job:
    """Return a job as it is a moment later; a server that is away for minutes is waited for.

    Raises:
        ServerUnavailable: it stays away.
    """
    end = time.monotonic() + _AWAY_SECONDS
    is_said = False
    while True:
        time.sleep(_POLL_SECONDS)
        try:
            return found.find(job["id"])
        except ServerUnavailable as error:
            if time.monotonic() > end:
                raise
            if not is_said:
                click.echo(f"{error} It is asked again for some minutes.", err=True)
            is_said = True


def _end(job: Job) -> NoReturn:
    """Say how a job ended, and end with the exit code of that."""
    is_completed = job["status"] == "completed"
    click.echo(ending(job), err=not is_completed)
    sys.exit(0 if is_completed else exit_code((job.get("error") or {}).get("error_code", "")))
