import errno
import sys

import click
import pytest

from export_pipelines.cli.terminal import exit_code, exit_codes, progress_bar
from export_pipelines.errors import (
    CatalogUnavailable,
    DataError,
    ExportPipelinesError,
    Interrupted,
    NoRecords,
    RequestError,
    StorageUnavailable,
    TooManyExports,
)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RequestError("Wrong."), 2, "Error: Wrong.\n"),
        (NoRecords("None."), 3, "Error: None.\n"),
        (CatalogUnavailable("Gone."), 4, "Error: Gone.\n"),
        (StorageUnavailable("Full."), 5, "Error: Full.\n"),
        (DataError("Odd."), 6, "Error: Odd.\n"),
        (ExportPipelinesError("Hm."), 1, "Error: Hm.\n"),
        (Interrupted("Stopped."), 130, "Error: Stopped.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_errors_end_a_command_with_a_sentence(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, exit_codes():
        raise error
    assert ended.value.code == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", said)


def test_a_folder_that_cannot_be_written_ends_a_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended, exit_codes():
        raise NotADirectoryError(errno.ENOTDIR, "Not a directory", "/dev/null/x")
    assert ended.value.code == 5
    assert "Error: Files cannot be written at /dev/null/x: Not a dir" in capsys.readouterr().err


@pytest.mark.parametrize("error", [BrokenPipeError(), click.UsageError("x"), ZeroDivisionError()])
def test_other_errors_are_not_ours(error: Exception) -> None:
    with pytest.raises(type(error)), exit_codes():
        raise error


def test_exit_codes_of_error_codes() -> None:
    kinds = (
        RequestError,
        NoRecords,
        CatalogUnavailable,
        StorageUnavailable,
        DataError,
        TooManyExports,
    )
    assert [exit_code(kind.code) for kind in kinds] == [2, 3, 4, 5, 6, 7]
    assert [exit_code(""), exit_code("failed"), exit_code("new")] == [1, 1, 1]


def test_the_bar_is_for_terminals_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = [
        {},
        {"export/stage": "chunk", "export/progress": "12", "export/records_count": "1200"},
        {"export/stage": "serialize", "export/progress": "60", "export/parts": "3/9"},
    ]
    with progress_bar() as show:
        for tags in stages:
            show(tags)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress_bar() as show:
        for tags in stages:
            show(tags)
    shown = capsys.readouterr().err
    assert "serialize  files 3/9" in shown
