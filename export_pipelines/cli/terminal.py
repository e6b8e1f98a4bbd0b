"""What all commands do alike: exit codes, the sample shop, the progress bar."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import click

from export_pipelines import settings
from export_pipelines.errors import (
    ExportPipelinesError,
    Interrupted,
    StorageUnavailable,
    storage_error,
)


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the command with one sentence and an exit code that scripts can use."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (ExportPipelinesError, OSError) as error:
        known = storage_error(error) if isinstance(error, OSError) else error
        click.echo(f"Error: {known}", err=True)
        sys.exit(known.exit_code)
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        sys.exit(Interrupted.exit_code)


def exit_code(error_code: str) -> int:
    """Return the exit code for an error's stable name, 1 for an unknown one."""
    return {kind.code: kind.exit_code for kind in _kinds(ExportPipelinesError)}.get(error_code, 1)


def _kinds(kind: type[ExportPipelinesError]) -> Iterator[type[ExportPipelinesError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)


def make_sample(products: int, orders: int | None = None, seed: int = 7) -> None:
    """Make a sample shop in the catalogue's database and say so."""
    from adbc_driver_manager import Error
    from sqlalchemy.exc import DBAPIError

    from export_pipelines.catalog.sample import generate

    began = time.monotonic()
    try:
        generate(settings.database_url(), products=products, orders=orders, seed=seed)
    except (Error, DBAPIError) as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        raise StorageUnavailable(
            f"The database does not take the sample shop: {reason}. None of it was kept."
        ) from None
    seconds = time.monotonic() - began
    click.echo(f"Made a sample shop with {products:,} products in {seconds:.1f} s.")


@contextmanager
def progress_bar(kind: str = "export") -> Iterator[Callable[[Mapping[str, str]], None]]:
    """Yield a function that shows a run's tags as a bar; without a terminal it shows nothing.

    Args:
        kind: `export` or `import`: what the tags begin with.
    """
    if not sys.stderr.isatty():
        yield lambda tags: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}")
    columns = (text, BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=100)

        def show(tags: Mapping[str, str]) -> None:
            count = tags.get(f"{kind}/records_count")
            records = f"{int(count):,} records" if count else ""
            parts = f"files {tags['export/parts']}" if "export/parts" in tags else ""
            words = (tags.get(f"{kind}/stage", "starting"), records, parts)
            percent = int(tags.get(f"{kind}/progress", "0"))
            bar.update(task, description="  ".join(filter(None, words)), completed=percent)

        yield show
