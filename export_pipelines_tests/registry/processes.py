"""What several processes do to one registry at the same moment, each in a process of its own."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from export_pipelines import settings
from export_pipelines.errors import ExportPipelinesError
from export_pipelines.records import open_instance
from export_pipelines.registration import platforms, profiles, schedules
from export_pipelines.registration.transactions import registering
from export_pipelines.registry import secrets
from export_pipelines.registry.database import state, writing
from export_pipelines.registry.profiles import Profile
from export_pipelines.registry.schedules import Schedule

# It imports what it needs once; each process is then a copy of it that has done nothing yet.
FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(["export_pipelines_tests.drop_folder_process", __name__])

OWN_VARIABLES = ("EXPORT_PIPELINES", "DATABASE_URL", "DAGSTER")
WAIT_SECONDS = 60
DONE = "done"


def environment() -> dict[str, str]:
    """Return the variables of this process that say where things are."""
    return {name: value for name, value in os.environ.items() if name.startswith(OWN_VARIABLES)}


def take_part(barrier: Any, answers: Any, variables: dict[str, str], work: Any, given: Any) -> None:
    """Do a piece of work as soon as all are ready, and tell what became of it."""
    os.environ.update(variables)
    barrier.wait(WAIT_SECONDS)
    try:
        work(*given)
    except ExportPipelinesError as error:
        answers.put(f"{type(error).__name__}: {error}")
    except Exception as error:
        answers.put(f"not explained: {error!r}")
    else:
        answers.put(DONE)


def race(work: Callable[..., None], given: Sequence[Sequence[Any]]) -> list[str]:
    """Do work in several processes at the same moment, and return how each ended, in any order."""
    barrier, answers = FRESH.Barrier(len(given)), FRESH.Queue()
    started = [start(take_part, barrier, answers, environment(), work, one) for one in given]
    found = [answers.get(timeout=WAIT_SECONDS) for _ in given]
    for process in started:
        process.join(WAIT_SECONDS)
        assert process.exitcode == 0
    return sorted(found)


def start(work: Callable[..., None], *given: Any) -> Any:
    """Start a process."""
    process = FRESH.Process(target=work, args=given)
    process.start()
    return process


def register_platform(name: str, password: str) -> None:
    fields = {"host": "ftp.example", "username": "shop", "password": password}
    checked = platforms.check(platforms.Platform(name, "ftp", fields))
    with writing() as session:
        platforms.add(session, settings.organization(), checked)


def register_profile(name: str, resource_type: str) -> None:
    with writing() as session:
        asked = Profile(name, "csv", {"resource_type": resource_type})
        profiles.add(session, settings.organization(), asked)


def register_schedule(name: str, cron_expression: str) -> None:
    checked = schedules.check(settings.organization(), Schedule(name, cron_expression))
    with open_instance() as instance, registering(instance) as session:
        schedules.add(session, settings.organization(), checked)


def count_up(times: int) -> None:
    """Add one, read before it is written, again and again."""
    for _ in range(times):
        with writing() as session:
            known = state(session)
            found = known.schedules_revision
            time.sleep(0.001)
            known.schedules_revision = found + 1


def make_registries(
    barrier: Any, answers: Any, variables: dict[str, str], homes: Sequence[str]
) -> None:
    """Write first in one home folder after the other, each at the same moment as others do."""
    os.environ.update(variables)
    for home in homes:
        os.environ["EXPORT_PIPELINES_HOME"] = home
        barrier.wait(WAIT_SECONDS)
        try:
            count_up(1)
        except ExportPipelinesError as error:
            answers.put(f"{type(error).__name__}: {error}")
        else:
            answers.put(DONE)


def rotate(times: int) -> None:
    for _ in range(times):
        secrets.rotate()


def keep_rotating(variables: dict[str, str], times: int) -> None:
    os.environ.update(variables)
    rotate(times)


def rotate_and_die(variables: dict[str, str], point: str) -> None:
    """Rotate the key, and be killed at a point."""
    os.environ.update(variables)
    if point == "encrypted, not committed":
        event.listen(Session, "before_commit", die)
    else:
        function, when = POINTS[point]
        dying(function, when)
    secrets.rotate()


POINTS = {
    "new key written beside": ("_written", "after"),
    "new key in its place": ("_replace", "after"),
    "encrypted, not committed": ("", ""),
    "committed": ("_drop_old_keys", "before"),
    "all done": ("_drop_old_keys", "after"),
}
"""Where a rotation may be killed: a function, before or after it."""


def dying(function: str, when: str) -> None:
    real = getattr(secrets, function)

    def dies(*given: Any) -> None:
        if when == "after":
            real(*given)
        die()

    setattr(secrets, function, dies)


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def rotate_slowly(variables: dict[str, str], rotating: Any, may_end: Any) -> None:
    """Rotate the key, and wait right before the commit."""
    os.environ.update(variables)

    def wait(_: Session) -> None:
        if not rotating.is_set():
            rotating.set()
            assert may_end.wait(WAIT_SECONDS)

    event.listen(Session, "before_commit", wait)
    secrets.rotate()
