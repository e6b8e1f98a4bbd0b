import os
import socket
from pathlib import Path

import pytest

from export_pipelines.code_location import LOCATION, REPOSITORY, code_socket, repository_origin


def at_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(home))
    return code_socket()


def test_the_socket_lies_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert at_home(monkeypatch, Path("/srv/shop")) == Path("/srv/shop/dagster/code.sock")


@pytest.mark.parametrize("letter", ["x", "é", "店"])
def test_a_socket_can_be_made_wherever_the_home_folder_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, letter: str
) -> None:
    for length in (1, 40, 60, 80):
        home = tmp_path / (letter * length)
        (home / "dagster").mkdir(parents=True)
        path = at_home(monkeypatch, home)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.fsencode(path))
        path.unlink()


def test_long_homes_have_sockets_of_their_own_that_stay_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    homes = [Path(f"/{'x' * 120}{number}") for number in range(3)]
    sockets = [at_home(monkeypatch, home) for home in homes]
    assert len(set(sockets)) == 3
    assert [at_home(monkeypatch, home) for home in homes] == sockets
    assert all(str(os.getuid()) in path.name for path in sockets)


def test_what_dagster_knows_it_by_differs_for_each_home_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at_home(monkeypatch, tmp_path / "one")
    one = repository_origin()
    assert one.get_id() == repository_origin().get_id()
    assert one.repository_name == REPOSITORY
    assert one.code_location_origin.location_name == LOCATION
    at_home(monkeypatch, tmp_path / "other")
    assert repository_origin().get_id() != one.get_id()
