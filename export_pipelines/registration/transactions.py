"""One change of the registry and of Dagster's states of schedules, made together."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import dagster as dg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from export_pipelines.errors import StorageUnavailable
from export_pipelines.registry.database import reading, writing

Write = Callable[[dg.DagsterInstance], Callable[[], None]]
"""Changes a state of Dagster's, and returns what takes that back."""

_INSTANCE = "dagster_instance"
_STATES = "schedule_states"


@contextmanager
def registering(instance: dg.DagsterInstance, *, dry_run: bool = False) -> Iterator[Session]:
    """Yield a session that writes, alone: committed at the end, rolled back by an exception.

    Args:
        instance: where the states of schedules are kept.
        dry_run: whether all is rolled back in any case.

    States of schedules are written right before the commit, when no name can be taken any more. A
    definition that is loaded without its state would begin to count too late.

    Raises:
        RegistryUnavailable: the database does not answer, or is of a newer version.
        StorageUnavailable: Dagster's records cannot be written.
    """
    with writing(dry_run=dry_run) as session:
        states: list[Write] = []
        session.info.update({_INSTANCE: instance, _STATES: states})
        yield session
        session.flush()
        if dry_run:
            session.rollback()
            return
        with ExitStack() as undoing:
            _write(instance, states, undoing)
            session.commit()
            undoing.pop_all()


def _write(instance: dg.DagsterInstance, states: Sequence[Write], undoing: ExitStack) -> None:
    """Write states, and have those that were written taken back if not all are, or no commit."""
    try:
        for write in states:
            undoing.callback(write(instance))
    except DBAPIError as error:
        reason = " ".join(str(error.orig or error).split())
        raise StorageUnavailable(
            f"Dagster's records of schedules cannot be written: {reason}. Nothing was changed."
        ) from None


@contextmanager
def looking(instance: dg.DagsterInstance) -> Iterator[Session]:
    """Yield a session that reads one moment of the registry.

    Raises:
        RegistryUnavailable: the database does not answer, or is of a newer version.
    """
    with reading() as session:
        session.info[_INSTANCE] = instance
        yield session


def instance_of(session: Session) -> dg.DagsterInstance:
    """Return where the states of schedules are kept that are changed with a session."""
    instance: dg.DagsterInstance = session.info[_INSTANCE]
    return instance


def before_commit(session: Session, write: Write) -> None:
    """Have something done to Dagster's records right before the session is committed."""
    session.info[_STATES].append(write)
