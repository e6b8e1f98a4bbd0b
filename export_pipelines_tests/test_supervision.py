import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from export_pipelines import supervision
from export_pipelines.errors import StorageUnavailable
from export_pipelines.supervision import Server, stop_all

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
how = Path("how").read_text()
if how == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open("started", "a") as started:
    started.write(f"{os.getpid()} {os.environ.get('SAID')} {' '.join(sys.argv[1:])}\\n")
if how == "ends":
    sys.exit(3)
time.sleep(60)
"""
PARENT = """
import os, time
from export_pipelines.supervision import Server
Server("little one", ["program"], dict(os.environ)).start()
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Be in a folder with a small program; what it has started is ended."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "how").write_text("stays")
    (tmp_path / "started").touch()
    yield tmp_path
    for pid in pids(tmp_path):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def server() -> Server:
    return Server("little one", ["program", "an argument"], {"SAID": "a variable"})


def pids(folder: Path) -> list[int]:
    return [int(line.split()[0]) for line in (folder / "started").read_text().splitlines()]


def has_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Nobody may have asked yet how an orphan ended.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "nothing happened for 20 seconds"
        time.sleep(0.01)


def started(one: Server, folder: Path, times: int = 1) -> int:
    """Wait until a program has begun, and return its process."""
    wait_until(lambda: len(pids(folder)) == times)
    assert one.is_running
    return pids(folder)[-1]


def test_a_server_has_its_arguments_its_environment_and_a_session_of_its_own(
    folder: Path,
) -> None:
    one = server()
    assert not one.is_running
    one.start()
    pid = started(one, folder)
    assert (folder / "started").read_text() == f"{pid} a variable an argument\n"
    assert os.getsid(pid) == pid != os.getsid(0)
    stop_all([one])
    assert not one.is_running


def test_a_server_dies_with_a_parent_that_is_killed(folder: Path) -> None:
    (folder / "how").write_text("deaf")
    parent = subprocess.Popen([sys.executable, "-c", PARENT])
    wait_until(lambda: bool(pids(folder)))
    (child,) = pids(folder)
    parent.kill()
    parent.wait()
    wait_until(lambda: not has_process(child))


def test_nothing_is_started_for_a_parent_that_has_ended_before(folder: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    ended = subprocess.run(
        [sys.executable, "-m", "export_pipelines.supervision", str(gone.pid), "program"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (ended.returncode, ended.stderr) == (
        1,
        f"Process {gone.pid}, which started this, has ended.\n",
    )
    assert not pids(folder)


def test_one_that_runs_is_left_alone(folder: Path) -> None:
    one = server()
    one.start()
    pid = started(one, folder)
    one.keep_running()
    assert one.is_running
    assert pids(folder) == [pid]
    stop_all([one])


def test_one_that_is_killed_is_started_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = server()
    one.start()
    os.kill(started(one, folder), signal.SIGKILL)
    wait_until(lambda: not one.is_running)
    one.keep_running()
    started(one, folder, times=2)
    assert len(set(pids(folder))) == 2
    assert capsys.readouterr().err == (
        "The little one has ended by itself, and is started again.\n"
    )
    stop_all([one])


def test_three_quick_ends_are_too_many(folder: Path) -> None:
    (folder / "how").write_text("ends")
    one = server()
    one.start()
    for _ in range(2):
        wait_until(lambda: not one.is_running)
        one.keep_running()
    wait_until(lambda: not one.is_running)
    with pytest.raises(StorageUnavailable) as failed:
        one.keep_running()
    assert str(failed.value) == (
        "The little one ends by itself again and again; its last messages are above."
    )
    assert len(pids(folder)) == 3
    stop_all([one])


def test_ends_after_a_while_are_never_too_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_QUICK_SECONDS", 0)
    (folder / "how").write_text("ends")
    one = server()
    one.start()
    for _ in range(5):
        wait_until(lambda: not one.is_running)
        one.keep_running()
    wait_until(lambda: not one.is_running)
    assert len(pids(folder)) == 6


def test_all_are_stopped_also_those_that_do_not_listen(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "_STOP_SECONDS", 0.5)
    kind, deaf, never_started = server(), server(), server()
    kind.start()
    started(kind, folder)
    (folder / "how").write_text("deaf")
    deaf.start()
    started(deaf, folder, times=2)
    before = time.monotonic()
    stop_all([kind, deaf, never_started])
    assert 0.5 <= time.monotonic() - before < 10
    for one in (kind, deaf):
        assert not one.is_running
    for pid in pids(folder):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_stopping_what_has_ended_by_itself_is_nothing(folder: Path) -> None:
    (folder / "how").write_text("ends")
    one = server()
    one.start()
    wait_until(lambda: not one.is_running)
    stop_all([one])
    stop_all([one])
    assert not one.is_running
