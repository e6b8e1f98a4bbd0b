"""Runs `export-pipelines` as a program, as people do, or in this process, which is quicker."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner

from export_pipelines.cli import main
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
        inherited = {name: value for name, value in os.environ.items() if not _is_ours(name)}
        done = subprocess.run(
            [sys.executable, "-m", "export_pipelines", *map(str, arguments)],
            cwd=ROOT,
            env={**inherited, **self._own(variables)},
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        self.said.extend([done.stdout, done.stderr])
        return done.returncode, done.stdout, done.stderr

    def run_here(self, *arguments: str | Path, given: str = "", **variables: str) -> str:
        """Run a command in this process that must succeed, and return what it prints."""
        code, output, error = self.try_here(*arguments, given=given, **variables)
        assert (code, error) == (0, ""), (arguments, output, error)
        return output

    def try_here(
        self, *arguments: str | Path, given: str = "", **variables: str
    ) -> tuple[int, str, str]:
        """Run a command in this process, and return its exit code, output and errors."""
        none: dict[str, str | None] = {name: None for name in os.environ if _is_ours(name)}
        done = CliRunner().invoke(
            main,
            [str(each) for each in arguments],
            input=given,
            env={**none, **self._own(variables)},
        )
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        self.said.extend([done.stdout, done.stderr])
        return done.exit_code, done.stdout, done.stderr

    def _own(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {**self.variables, "EXPORT_PIPELINES_HOME": str(self.home), **variables}


def _is_ours(name: str) -> bool:
    return name.startswith("EXPORT_PIPELINES_") or name == "DATABASE_URL"
