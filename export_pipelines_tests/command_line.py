"""Runs `export-pipelines` as a program, as people do."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from export_pipelines_tests.webserver import ROOT


@dataclass(frozen=True)
class Program:
    """The program with a home folder.

    Attributes:
        home: the folder.
        variables: of the environment; of this project's it sees only those.
        said: all that it has printed, whatever became of it.
    """

    home: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def run(self, *arguments: str | Path, given: str = "", **variables: str) -> str:
        """Run a command that must succeed, and return what it prints.

        Args:
            arguments: of the command line.
            given: its standard input.
            variables: more of its environment, for this time only.
        """
        code, output, error = self.try_to(*arguments, given=given, **variables)
        assert (code, error) == (0, ""), (arguments, output, error)
        return output

    def try_to(
        self, *arguments: str | Path, given: str = "", **variables: str
    ) -> tuple[int, str, str]:
        """Run a command, and return its exit code, output and errors."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("EXPORT_PIPELINES_") and name != "DATABASE_URL"
        }
        place = {"EXPORT_PIPELINES_HOME": str(self.home)}
        done = subprocess.run(
            [sys.executable, "-m", "export_pipelines", *map(str, arguments)],
            cwd=ROOT,
            env={**inherited, **self.variables, **place, **variables},
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        self.said.extend([done.stdout, done.stderr])
        return done.returncode, done.stdout, done.stderr
