"""Whether a process that was seen at some moment is still the one that has its number."""

import json
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys" / "kernel" / "random" / "boot_id"
_MACHINE_ID = Path("/etc/machine-id")
_MACHINE_ID_CHARACTERS = 32
_ENDED = ("Z", "X")
_ROUNDING_SECONDS = 1.0
"""Times of processes are in hundredths of a second, and clocks are read one after the other."""

_STATE = 0
_START = 19
"""Where /proc/<pid>/stat has the state and the start, counted after the program's name."""


@dataclass(frozen=True)
class Machine:
    """A machine from one start of it to the next, as processes of one PID namespace see it.

    Records of runs of earlier versions lack the machine's id and the namespace.

    Attributes:
        host: its name.
        boot: what names this start; empty where the system does not tell.
        booted_at: when it was started, in seconds since 1970 of the clock as it was read; 0 where
            the system does not tell.
        machine: its id, which stays when it is started again; empty where it has none.
        namespace: in which the numbers of processes hold; empty if it cannot be seen.
    """

    host: str
    boot: str
    booted_at: float
    machine: str = ""
    namespace: str = ""

    def to_text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_text(text: str) -> "Machine":
        """Return what `to_text` wrote."""
        return Machine(**json.loads(text))


def this_machine() -> Machine:
    """Return the machine of this process."""
    boot = _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.is_file() else ""
    booted_at = 0.0
    if sys.platform == "linux":
        booted_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return Machine(socket.gethostname(), boot, booted_at, _machine_id(), _namespace())


def _machine_id() -> str:
    try:
        text = _MACHINE_ID.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
    # Before a machine's first start there is a word instead, the same on all machines.
    return text if len(text) == _MACHINE_ID_CHARACTERS else ""


def _namespace() -> str:
    """Return the PID namespace; a system that has none is one namespace."""
    if sys.platform != "linux":
        return sys.platform
    try:
        if (_PROC / "self").readlink().name != str(os.getpid()):
            # /proc is that of another namespace, and shows other numbers.
            return ""
        return str((_PROC / "self" / "ns" / "pid").readlink())
    except OSError:
        return ""


def is_gone(pid: int, seen_at: float, machine: Machine) -> bool:
    """Return whether a process has ended for certain; False if this machine cannot tell.

    Args:
        pid: its number.
        seen_at: when it was at work, in seconds since 1970.
        machine: where; read shortly before `seen_at`, so that a clock that was set since is no
            trouble.
    """
    here = this_machine()
    if not _same_place(here, machine):
        return False
    if here.boot != machine.boot:
        # Two machines may have one name: only its id says that it is this one, started again.
        return bool(here.machine)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # It is there, and another user's.
        pass
    return _is_another(pid, seen_at - machine.booted_at)


def _same_place(here: Machine, there: Machine) -> bool:
    """Return whether both have the same name, id and namespace, of which the last is known."""
    places = [(place.host, place.machine, place.namespace) for place in (here, there)]
    return places[0] == places[1] and bool(here.namespace)


def _is_another(pid: int, seen: float) -> bool:
    """Return whether a process has ended unnoticed by its parent, or was started after `seen`.

    Args:
        pid: its number.
        seen: in seconds since the machine was started.
    """
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        # This system does not tell, or it has ended this moment, which the next look sees.
        return False
    fields = text.rpartition(")")[2].split()
    started = int(fields[_START]) / os.sysconf("SC_CLK_TCK")
    return fields[_STATE] in _ENDED or started > seen + _ROUNDING_SECONDS
