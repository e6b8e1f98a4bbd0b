from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import pytest

from export_pipelines.errors import PlatformRefused, PlatformUnavailable
from export_pipelines.platforms.base import Connection, Receipt, RemoteFile
from export_pipelines.platforms.bucket_parts import PART_BYTES
from export_pipelines_tests.contracts.platforms import content_of, random_bytes, staged
from export_pipelines_tests.servers import rclone
from export_pipelines_tests.servers.faults import Fault, FaultProxy
from export_pipelines_tests.servers.s3 import BUCKET, FOLDER, run_rclone
from export_pipelines_tests.servers.targets import Target, Targets

MANY_PARTS = random_bytes(2 * PART_BYTES + 1_000_000)


@pytest.fixture(params=["minio-seaweed", "s3-rclone"])
def target(request: pytest.FixtureRequest, targets: Targets) -> Target:
    return targets[request.param]


@pytest.fixture
def connection(target: Target) -> Iterator[Connection]:
    with target.platform.connect() as opened:
        yield opened


@pytest.fixture
def name() -> str:
    return f"test-{uuid4().hex[:12]}/products.csv"


def sdk(connection: Connection) -> Any:
    """Return the client of a connection, for what the platform itself never asks."""
    return connection._client  # type: ignore[attr-defined]


def test_a_file_of_many_parts_arrives_and_is_not_sent_again(
    target: Target, connection: Connection, name: str, tmp_path: Path
) -> None:
    file = staged(tmp_path / "source" / "products.csv", MANY_PARTS)
    done: list[int] = []
    first = connection.put(file, name, done.append)
    again = connection.put(file, name)
    assert (first.sent, again.sent) == (file.bytes, 0)
    assert done == sorted(done)
    assert len(done) == 4
    rclone.check(tmp_path / "source", target, name.partition("/")[0])


def test_parts_of_the_same_size_but_other_content_are_sent(
    connection: Connection, name: str, tmp_path: Path
) -> None:
    changed = MANY_PARTS[:-1] + bytes([MANY_PARTS[-1] ^ 1])
    connection.put(staged(tmp_path / "a", MANY_PARTS), name)
    receipt = connection.put(staged(tmp_path / "b", changed), name)
    assert receipt.sent == len(changed)
    assert content_of(connection, name, tmp_path) == changed


def test_the_servers_checksum_is_compared(targets: Targets, name: str, tmp_path: Path) -> None:
    small, large = staged(tmp_path / "a", b"abc"), staged(tmp_path / "b", MANY_PARTS)
    verified = {}
    for server in ("minio-seaweed", "s3-rclone"):
        with targets[server].platform.connect() as connection:
            verified[server] = [
                connection.put(file, f"{name}.{file.name}").verified for file in (small, large)
            ]
    assert verified == {"minio-seaweed": ["sha256", "sha256"], "s3-rclone": ["sha256", "md5"]}


def test_a_file_whose_checksum_the_server_does_not_tell_is_read_back(
    name: str, tmp_path: Path
) -> None:
    file = staged(tmp_path / "products.csv", MANY_PARTS)
    with (
        run_rclone(tmp_path, "--etag-hash", "") as store,
        store.minio().connect() as connection,
    ):
        receipt = connection.put(file, name)
        assert receipt == Receipt(file.bytes, "sha256")
        assert connection.put(file, name).sent == file.bytes


def test_a_file_that_is_not_what_was_sent_does_not_stay(
    connection: Connection, name: str, tmp_path: Path
) -> None:
    target = {"Bucket": BUCKET, "Key": f"{FOLDER}/{name}"}
    connection.put(staged(tmp_path / "a", b"abc"), name)
    with pytest.raises(PlatformUnavailable, match=r"holds other bytes than were sent to it\.$"):
        connection._read_back(target, staged(tmp_path / "b", b"abd"))  # type: ignore[attr-defined]
    assert connection.list(name.partition("/")[0]) == []


def test_other_programs_marks_of_folders_are_no_files(
    targets: Targets, name: str, tmp_path: Path
) -> None:
    with targets["minio-seaweed"].platform.connect() as connection:
        folder = name.partition("/")[0]
        sdk(connection).put_object(Bucket=BUCKET, Key=f"{FOLDER}/{folder}/", Body=b"")
        sdk(connection).put_object(Bucket=BUCKET, Key=f"{FOLDER}/{folder}/.hidden", Body=b"")
        connection.put(staged(tmp_path / "a", b"abc"), name)
        assert connection.list(folder) == [RemoteFile(name, 3)]
        assert connection.list(f"{folder}/") == [RemoteFile(name, 3)]


def test_a_folder_of_more_files_than_one_answer_lists(tmp_path: Path) -> None:
    with run_rclone(tmp_path) as store:
        folder = tmp_path / "buckets" / BUCKET / FOLDER / "many"
        folder.mkdir(parents=True)
        names = [f"{number:04}.csv" for number in range(1_001)]
        for name in names:
            (folder / name).write_bytes(b"")
        with store.s3().connect() as connection:
            found = connection.list("many")
    assert [file.name for file in found] == [f"many/{name}" for name in names]


def test_a_folders_name_is_refused_where_files_lie_in_folders(
    targets: Targets, name: str, tmp_path: Path
) -> None:
    with targets["s3-rclone"].platform.connect() as connection:
        connection.put(staged(tmp_path / "a", b"abc"), f"{name}/inner.csv")
        for content in (b"abc", MANY_PARTS):
            with pytest.raises(PlatformRefused, match="a folder has the file's name"):
                connection.put(staged(tmp_path / "a", content), name)


def test_a_link_saves_the_file_under_its_name_and_no_other(
    connection: Connection, name: str, tmp_path: Path
) -> None:
    awkward = name.replace("products", 'grün & "100%"; a+b')
    connection.put(staged(tmp_path / "a", b"abc"), awkward)
    link = connection.link(awkward, 60)
    assert link is not None
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link
    with urlopen(link) as answer:
        assert answer.read() == b"abc"
        assert answer.headers["Content-Disposition"] == (
            'attachment; filename="gr?n & _100%_; a+b.csv"; '
            "filename*=UTF-8''gr%C3%BCn%20%26%20%22100%25%22%3B%20a%2Bb.csv"
        )


def test_a_link_lasts_no_longer_than_the_protocol_allows(connection: Connection) -> None:
    link = connection.link("a.csv", 30 * 24 * 60 * 60)
    assert link is not None
    assert "X-Amz-Expires=604800" in link


@pytest.mark.parametrize("kind", ["reset", "close", "stall"])
def test_a_download_that_breaks_off_is_unavailable(
    targets: Targets, name: str, kind: str, tmp_path: Path
) -> None:
    target = targets["minio-seaweed"]
    with target.platform.connect() as connection:
        connection.put(staged(tmp_path / "a", MANY_PARTS), name)
    assert target.through is not None
    with FaultProxy(target.port) as proxy, target.through(proxy.port) as reached:
        impatient = reached.model_copy(update={"timeout_seconds": 1})
        with impatient.connect() as connection:
            body = connection._open(  # type: ignore[attr-defined]
                {"Bucket": BUCKET, "Key": f"{FOLDER}/{name}"}
            )
            body.close()
            proxy.order(Fault(kind, 1, times=9))  # type: ignore[arg-type]
            with pytest.raises(PlatformUnavailable):
                connection.get(name, tmp_path / "back")
        assert proxy.fired
