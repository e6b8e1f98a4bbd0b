"""The program `export-pipelines`, also as `python -m export_pipelines`."""

import atexit
import gc


def entry() -> None:
    """Run the command line without the garbage collector's share of a short process's time.

    Collecting while Dagster is imported and again at the end costs about a second of a command.
    """
    gc.disable()
    atexit.register(gc.freeze)
    from export_pipelines.cli import main

    main(prog_name="export-pipelines")


if __name__ == "__main__":
    entry()
