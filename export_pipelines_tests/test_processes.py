"""Whether a process is gone, with real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from export_pipelines import processes
from export_pipelines.processes import Machine, is_gone, this_machine


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    """Start a process, and have it killed and its end noticed afterwards."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def test_a_machine_is_the_same_until_it_starts_again() -> None:
    machine = this_machine()
    again = this_machine()
    assert Machine.from_text(machine.to_text()) == machine
    assert (again.host, again.boot) == (machine.host, machine.boot)
    assert machine.boot
    assert machine.namespace == str(Path("/proc/self/ns/pid").readlink())
    assert again.booted_at == pytest.approx(machine.booted_at, abs=0.2)
    assert machine.booted_at < time.time()


def test_a_living_process_is_not_gone(sleeper: "subprocess.Popen[bytes]") -> None:
    assert not is_gone(sleeper.pid, time.time(), this_machine())
    assert not is_gone(os.getpid(), time.time(), this_machine())


def test_a_process_of_another_user_is_not_gone() -> None:
    assert not is_gone(1, time.time(), this_machine())


def test_a_clock_that_was_set_is_no_trouble(sleeper: "subprocess.Popen[bytes]") -> None:
    # Both times are those of a clock that was a day fast or slow when the process began.
    machine = this_machine()
    for wrong in (-86_400, 86_400):
        then = replace(machine, booted_at=machine.booted_at + wrong)
        assert not is_gone(sleeper.pid, time.time() + wrong, then)


def test_a_killed_process_is_gone(sleeper: "subprocess.Popen[bytes]") -> None:
    sleeper.kill()
    sleeper.wait()
    assert is_gone(sleeper.pid, time.time(), this_machine())


def test_a_killed_process_is_gone_before_anybody_has_noticed(
    sleeper: "subprocess.Popen[bytes]",
) -> None:
    sleeper.kill()
    stat = Path("/proc") / str(sleeper.pid) / "stat"
    while ") Z " not in stat.read_text():
        time.sleep(0.01)
    assert is_gone(sleeper.pid, time.time(), this_machine())


def test_a_stopped_process_is_not_gone(sleeper: "subprocess.Popen[bytes]") -> None:
    stat = Path("/proc") / str(sleeper.pid) / "stat"
    os.kill(sleeper.pid, signal.SIGSTOP)
    while ") T " not in stat.read_text():
        time.sleep(0.01)
    assert not is_gone(sleeper.pid, time.time(), this_machine())


def test_another_process_with_its_number_is_not_it(sleeper: "subprocess.Popen[bytes]") -> None:
    assert is_gone(sleeper.pid, time.time() - 60, this_machine())


@pytest.mark.parametrize("program", ["a) Z (b", "a b", "ä"])
def test_names_of_programs_do_not_matter(program: str, tmp_path: Path) -> None:
    link = tmp_path / program
    link.symlink_to("/bin/sleep")
    with subprocess.Popen([link, "600"]) as process:
        try:
            assert not is_gone(process.pid, time.time() + 1, this_machine())
            assert is_gone(process.pid, time.time() - 60, this_machine())
        finally:
            process.kill()


@pytest.fixture
def machine_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file with the id of this machine, which has one."""
    file = tmp_path / "machine-id"
    file.write_text(f"{'a' * 32}\n")
    monkeypatch.setattr(processes, "_MACHINE_ID", file)
    return file


def test_all_processes_are_gone_when_the_machine_has_started_again(machine_id: Path) -> None:
    before = replace(this_machine(), boot="another")
    assert before.machine == "a" * 32
    assert is_gone(os.getpid(), time.time(), before)


def test_another_machine_of_the_same_name_has_not_started_again(machine_id: Path) -> None:
    before = replace(this_machine(), boot="another", machine="b" * 32)
    assert not is_gone(os.getpid(), time.time(), before)


@pytest.mark.parametrize("content", [None, "", "uninitialized\n"])
def test_without_an_id_nobody_can_tell_whether_it_has_started_again(
    content: str | None, machine_id: Path
) -> None:
    machine_id.unlink() if content is None else machine_id.write_text(content)
    before = replace(this_machine(), boot="another")
    assert before.machine == ""
    assert not is_gone(os.getpid(), time.time(), before)


def test_of_another_pid_namespace_nobody_can_tell(sleeper: "subprocess.Popen[bytes]") -> None:
    sleeper.kill()
    sleeper.wait()
    assert not is_gone(sleeper.pid, time.time(), replace(this_machine(), namespace="pid:[1]"))
    assert not is_gone(os.getpid(), time.time() - 60, replace(this_machine(), namespace="pid:[1]"))


def test_of_a_record_of_an_earlier_version_nobody_can_tell(
    sleeper: "subprocess.Popen[bytes]",
) -> None:
    sleeper.kill()
    sleeper.wait()
    here = this_machine()
    text = json.dumps({"host": here.host, "boot": here.boot, "booted_at": here.booted_at})
    assert not is_gone(sleeper.pid, time.time(), Machine.from_text(text))


def test_where_processes_cannot_be_seen_nobody_can_tell(
    sleeper: "subprocess.Popen[bytes]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper.kill()
    sleeper.wait()
    # As in a PID namespace with the /proc of another.
    (tmp_path / "self").symlink_to("1")
    for proc in (tmp_path / "nothing", tmp_path):
        monkeypatch.setattr(processes, "_PROC", proc)
        assert this_machine().namespace == ""
        assert not is_gone(sleeper.pid, time.time(), this_machine())


def test_of_another_machine_nobody_can_tell(sleeper: "subprocess.Popen[bytes]") -> None:
    sleeper.kill()
    sleeper.wait()
    other = replace(this_machine(), host="another", boot="another")
    assert not is_gone(sleeper.pid, time.time(), other)
