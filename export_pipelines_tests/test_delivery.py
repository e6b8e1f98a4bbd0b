"""What a delivery leaves on a platform, with a real folder, whole or broken off at every step."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from export_pipelines.artifacts import StagedFile
from export_pipelines.delivery import Shipment, deliver
from export_pipelines.errors import PlatformUnavailable
from export_pipelines.journal import Journal
from export_pipelines.platforms.base import Connection, Receipt, RemoteFile
from export_pipelines.platforms.local import Local

MANIFEST = "products.csv.manifest.json"
PENDING = f".{MANIFEST}.pending"


class Brittle(Connection):
    """Passes calls on to a platform, and breaks off before a given one of them."""

    def __init__(self, inner: Connection, breaks_at: int = -1) -> None:
        self.inner = inner
        self.calls: list[tuple[str, str]] = []
        self.breaks_at = breaks_at

    def _call(self, kind: str, name: str) -> None:
        if len(self.calls) == self.breaks_at:
            raise PlatformUnavailable("The connection broke off.")
        self.calls.append((kind, name))

    def put(
        self, file: StagedFile, name: str, on_bytes: Callable[[int], None] = lambda done: None
    ) -> Receipt:
        self._call("put", name)
        return self.inner.put(file, name, on_bytes)

    def get(self, name: str, target: Path) -> None:
        self._call("get", name)
        self.inner.get(name, target)

    def list(self, folder: str = "") -> list[RemoteFile]:
        self._call("list", folder)
        return self.inner.list(folder)

    def delete(self, name: str) -> None:
        self._call("delete", name)
        self.inner.delete(name)


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "platform"
    folder.mkdir()
    return folder


@pytest.fixture
def platform(there: Path) -> Iterator[Brittle]:
    with Local(folder=str(there)).connect() as connection:
        yield Brittle(connection)


def stage(folder: Path, **contents: str) -> tuple[list[StagedFile], StagedFile]:
    """Write files and their manifest into a staging area."""
    folder.mkdir(exist_ok=True)
    files = [staged(folder / f"{name}.csv", text) for name, text in contents.items()]
    listed = [{"name": file.name, "sha256": file.sha256} for file in files]
    return files, staged(folder / "manifest.json", json.dumps({"files": listed}))


def staged(path: Path, text: str) -> StagedFile:
    path.write_text(text, encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return StagedFile(str(path), path.name, 1, len(text.encode()), digest)


def send(
    connection: Connection,
    made: tuple[list[StagedFile], StagedFile],
    notes: Path,
    folder: str = "",
    on_bytes: Callable[[int], None] = lambda done: None,
) -> int:
    """Deliver files as the run that has these notes."""
    shipment = Shipment(notes.name, *made, folder, MANIFEST)
    return deliver(connection, shipment, Journal(notes, "place"), on_bytes)


CALLS_UNTIL_SECOND_FILE = 6
"""Two files are read, one is put, one deleted, all are listed, the first of the export is put."""


def puts(platform: Brittle) -> list[str]:
    return [name for kind, name in platform.calls if kind == "put"]


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def require_truth(folder: Path) -> None:
    """Check that a manifest, if there is one, tells exactly what is there."""
    found = {name: text for name, text in contents(folder).items() if name != PENDING}
    if MANIFEST in found:
        listed = json.loads(found[MANIFEST])["files"]
        for file in listed:
            assert hashlib.sha256(found[file["name"]].encode()).hexdigest() == file["sha256"]
        assert len(found) == len(listed) + 1


def test_files_come_in_order_and_the_manifest_last(
    tmp_path: Path, there: Path, platform: Brittle
) -> None:
    made = stage(tmp_path / "staging", a="one", b="two")
    assert send(platform, made, tmp_path / "notes") == 6
    puts = [name for kind, name in platform.calls if kind == "put"]
    assert puts == [PENDING, "a.csv", "b.csv", MANIFEST]
    assert contents(there).keys() == {*puts[1:]}
    require_truth(there)


def test_a_subfolder_holds_all_of_it(tmp_path: Path, there: Path, platform: Brittle) -> None:
    made = stage(tmp_path / "staging", a="one")
    send(platform, made, tmp_path / "notes", "2026/01")
    assert contents(there).keys() == {"2026/01/a.csv", f"2026/01/{MANIFEST}"}


def test_progress_counts_all_files(tmp_path: Path, platform: Brittle) -> None:
    seen: list[int] = []
    made = stage(tmp_path / "staging", a="one", b="three")
    send(platform, made, tmp_path / "notes", on_bytes=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 8


def test_the_same_name_twice_is_replaced_and_what_is_gone_is_removed(
    tmp_path: Path, there: Path, platform: Brittle
) -> None:
    send(platform, stage(tmp_path / "1", a="one", b="two", c="three"), tmp_path / "notes-1")
    (there / "other.csv").write_text("not ours", encoding="utf-8")
    send(platform, stage(tmp_path / "2", a="uno", b="two"), tmp_path / "notes-2")
    found = contents(there)
    assert found.pop("other.csv") == "not ours"
    assert found.pop("a.csv") == "uno"
    assert found.keys() == {"b.csv", MANIFEST}


@pytest.mark.parametrize(
    "before",
    [
        "",
        "no JSON",
        "[]",
        '{"files": 1}',
        '{"files": [1, {}, {"name": 5}]}',
        '{"files": [{"name": "../outside.csv"}, {"name": "sub/x"}, {"name": ".hidden"}]}',
    ],
)
def test_a_strange_manifest_removes_nothing(
    tmp_path: Path, there: Path, platform: Brittle, before: str
) -> None:
    (there / MANIFEST).write_text(before, encoding="utf-8")
    (tmp_path / "outside.csv").write_text("kept", encoding="utf-8")
    (there / ".hidden").write_text("kept", encoding="utf-8")
    send(platform, stage(tmp_path / "staging", a="one"), tmp_path / "notes")
    assert (tmp_path / "outside.csv").read_text(encoding="utf-8") == "kept"
    assert contents(there).keys() == {".hidden", "a.csv", MANIFEST}


def test_broken_off_anywhere_a_new_try_sends_the_rest(
    tmp_path: Path, there: Path, platform: Brittle
) -> None:
    """At no moment is a manifest there that names what is not; at the end all is right."""
    old = stage(tmp_path / "old", a="one", b="two", c="three")
    new = stage(tmp_path / "new", a="uno", b="two", d="four")
    send(platform, new, tmp_path / "count")
    steps = len(platform.calls) + 2
    for step in range(steps):
        platform.breaks_at, platform.calls = -1, []
        send(platform, old, tmp_path / f"old-{step}")
        platform.breaks_at, platform.calls = step, []
        notes = tmp_path / f"new-{step}"
        try:
            send(platform, new, notes)
        except PlatformUnavailable:
            require_truth(there)
        platform.breaks_at, platform.calls = -1, []
        send(platform, new, notes)
        require_truth(there)
        assert contents(there).keys() == {"a.csv", "b.csv", "d.csv", MANIFEST}
        assert contents(there)["a.csv"] == "uno"


def test_what_is_noted_and_there_is_not_sent_again(
    tmp_path: Path, there: Path, platform: Brittle
) -> None:
    made = stage(tmp_path / "staging", a="one", b="two")
    platform.breaks_at = CALLS_UNTIL_SECOND_FILE
    with pytest.raises(PlatformUnavailable):
        send(platform, made, tmp_path / "notes")
    platform.breaks_at, platform.calls = -1, []
    assert send(platform, made, tmp_path / "notes") == 3
    assert puts(platform) == ["b.csv", MANIFEST]
    require_truth(there)


def test_what_was_noted_but_is_gone_is_sent_again(
    tmp_path: Path, there: Path, platform: Brittle
) -> None:
    made = stage(tmp_path / "staging", a="one", b="two")
    platform.breaks_at = CALLS_UNTIL_SECOND_FILE
    with pytest.raises(PlatformUnavailable):
        send(platform, made, tmp_path / "notes")
    (there / "a.csv").unlink()
    platform.breaks_at, platform.calls = -1, []
    send(platform, made, tmp_path / "notes")
    assert puts(platform) == ["a.csv", "b.csv", MANIFEST]
    require_truth(there)


def test_a_run_that_is_resumed_after_another_sends_everything_again(
    tmp_path: Path, there: Path, platform: Brittle
) -> None:
    """The other's files have the same names and sizes."""
    first = stage(tmp_path / "first", a="one", b="two")
    second = stage(tmp_path / "second", a="uno", b="dos", c="tre")
    platform.breaks_at = CALLS_UNTIL_SECOND_FILE
    with pytest.raises(PlatformUnavailable):
        send(platform, first, tmp_path / "first-run")
    platform.breaks_at = -1
    send(platform, second, tmp_path / "second-run")
    send(platform, first, tmp_path / "first-run")
    require_truth(there)
    assert contents(there)["a.csv"] == "one"


def test_a_run_that_is_resumed_after_another_broke_off_sends_everything_again(
    tmp_path: Path, there: Path, platform: Brittle
) -> None:
    first = stage(tmp_path / "first", a="one", b="two")
    second = stage(tmp_path / "second", a="uno", b="dos", c="tre")
    for made, run in ((first, "first-run"), (second, "second-run")):
        platform.breaks_at, platform.calls = CALLS_UNTIL_SECOND_FILE, []
        with pytest.raises(PlatformUnavailable):
            send(platform, made, tmp_path / run)
    platform.breaks_at = -1
    send(platform, first, tmp_path / "first-run")
    require_truth(there)
    assert contents(there)["a.csv"] == "one"


def test_files_of_an_export_stay_known_when_one_in_between_never_ends(
    tmp_path: Path, there: Path, platform: Brittle
) -> None:
    send(platform, stage(tmp_path / "1", a="1", b="2", c="3", d="4"), tmp_path / "first-run")
    platform.breaks_at, platform.calls = CALLS_UNTIL_SECOND_FILE, []
    with pytest.raises(PlatformUnavailable):
        send(platform, stage(tmp_path / "2", a="5", e="6", f="7"), tmp_path / "second-run")
    platform.breaks_at = -1
    send(platform, stage(tmp_path / "3", a="8", b="9"), tmp_path / "third-run")
    assert contents(there).keys() == {"a.csv", "b.csv", MANIFEST}
    require_truth(there)


def test_two_deliveries_of_one_name_at_the_same_moment_leave_no_false_manifest(
    tmp_path: Path, there: Path, platform: Brittle
) -> None:
    first = stage(tmp_path / "first", a="one", b="two")
    second = stage(tmp_path / "second", a="uno", b="dos")

    def come_between(done: int) -> None:
        if not (tmp_path / "second-run").exists():
            send(platform, second, tmp_path / "second-run")

    with pytest.raises(PlatformUnavailable, match="Another export of the same name"):
        send(platform, first, tmp_path / "first-run", on_bytes=come_between)
    send(platform, first, tmp_path / "first-run")
    require_truth(there)
    assert contents(there)["a.csv"] == "one"
