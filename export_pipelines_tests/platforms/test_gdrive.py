import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httplib2
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformMisconfigured, PlatformRefused, PlatformUnavailable
from export_pipelines.platforms import gdrive_files
from export_pipelines.platforms.base import Platform, RemoteFile
from export_pipelines.platforms.gdrive import Gdrive
from export_pipelines.platforms.gdrive_upload import Content
from export_pipelines_tests.contracts.platforms import (
    assert_hides_secrets,
    content_of,
    random_bytes,
    staged,
    trace_of,
)
from export_pipelines_tests.servers import rclone
from export_pipelines_tests.servers.drive import serve_drive
from export_pipelines_tests.servers.drive_service import EMAIL, SUBJECT, Drive
from export_pipelines_tests.servers.faults import Fault, FaultProxy
from export_pipelines_tests.servers.targets import Target

LARGE = 20_000_000
"""More than a chunk."""

NAME = "in/products.csv"
UPLOADS = "/upload/"


@pytest.fixture(name="served")
def fixture_served(tmp_path: Path) -> Iterator[tuple[Target, Drive]]:
    folder = tmp_path / "drive"
    folder.mkdir()
    with serve_drive(folder) as served:
        yield served


@pytest.fixture
def target(served: tuple[Target, Drive]) -> Target:
    return served[0]


@pytest.fixture
def drive(served: tuple[Target, Drive]) -> Drive:
    return served[1]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gdrive_files, "PAUSES", (0.0,) * len(gdrive_files.PAUSES))


@pytest.fixture
def large(tmp_path: Path) -> StagedFile:
    return staged(tmp_path / "source" / "products.csv", random_bytes(LARGE))


def changed(platform: Platform, **fields: Any) -> Gdrive:
    assert isinstance(platform, Gdrive)
    same = {name: getattr(platform, name) for name in Gdrive.model_fields}
    return Gdrive(**same | fields)


def put(platform: Platform, file: StagedFile, name: str = NAME) -> Any:
    with platform.connect() as connection:
        return connection.put(file, name)


def names(target: Target, folder: str = "in") -> list[str]:
    with target.platform.connect() as connection:
        return [file.name for file in connection.list(folder)]


def ids(drive: Drive, name: str = "products.csv") -> list[str]:
    return [
        item.id
        for item in drive.files.items.values()
        if item.values.get("name") == name and not item.values["trashed"]
    ]


def through(target: Target, proxy: FaultProxy) -> Any:
    assert target.through is not None
    return target.through(proxy.port)


@pytest.mark.usefixtures("impatient")
class TestBrokenNetworks:
    @pytest.mark.parametrize(
        ("kind", "at"),
        [
            ("reset", 3_000_000),
            ("reset", 18_000_000),
            ("close", 3_000_000),
            ("close", 18_000_000),
            ("corrupt", 18_000_000),
            ("mute", 3_000_000),
            ("mute", 18_000_000),
        ],
    )
    def test_an_upload_goes_on_where_it_broke_off(
        self, target: Target, drive: Drive, large: StagedFile, kind: Any, at: int
    ) -> None:
        with FaultProxy(target.port) as proxy, through(target, proxy) as platform:
            proxy.order(Fault(kind, at, times=2))
            receipt = put(platform, large)
            assert proxy.fired >= 1
        assert large.bytes <= receipt.sent < 3 * large.bytes
        assert len(ids(drive)) == 1
        rclone.check(Path(large.path).parent, target, "in")

    def test_a_network_that_breaks_off_always_leaves_the_old_file(
        self, target: Target, large: StagedFile, tmp_path: Path
    ) -> None:
        put(target.platform, staged(tmp_path / "old" / "products.csv", b"old"))
        with (
            FaultProxy(target.port) as proxy,
            through(target, proxy) as platform,
            platform.connect() as connection,
        ):
            proxy.order(Fault("reset", 500_000, times=1_000))
            with pytest.raises(PlatformUnavailable, match="broke off"):
                connection.put(large, NAME)
        rclone.check(tmp_path / "old", target, "in")


class TestSilence:
    @pytest.mark.parametrize("at", [0, 300])
    def test_it_ends_in_time(self, target: Target, at: int) -> None:
        names(target)
        with FaultProxy(target.port) as proxy, through(target, proxy) as platform:
            proxy.order(Fault("stall", at, times=1_000))
            began = time.monotonic()
            with (
                pytest.raises(PlatformUnavailable, match="was silent for 2 seconds"),
                changed(platform, timeout_seconds=2).connect(),
            ):
                pass
            assert 2 <= time.monotonic() - began < 4
            assert proxy.fired == 1

    @pytest.mark.parametrize("at", [5_000_000, 19_000_000])
    def test_it_ends_an_upload_in_time(self, target: Target, large: StagedFile, at: int) -> None:
        with (
            FaultProxy(target.port) as proxy,
            through(target, proxy) as platform,
            changed(platform, timeout_seconds=2).connect() as connection,
        ):
            proxy.order(Fault("stall", at))
            with pytest.raises(PlatformUnavailable, match="was silent for 2 seconds"):
                connection.put(large, NAME)
            assert proxy.fired == 1
        assert names(target) == []

    def test_a_chunk_goes_in_slices_that_a_slow_line_takes_in_time(self, large: StagedFile) -> None:
        with Path(large.path).open("rb") as source:
            content = Content(source, large)
            chunk = content.chunk(1_000, 5_000_000)
            for time_sent in (1, 2):
                assert b"".join(chunk) == random_bytes(LARGE)[1_000:5_001_000]
                assert content.sent == time_sent * len(chunk) == time_sent * 5_000_000
            assert max(len(piece) for piece in chunk) <= 1 << 17

    def test_it_ends_in_time_without_a_proxy(self, target: Target) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            token_uri = f"https://127.0.0.1:{silent.getsockname()[1]}/token"
            platform = broken_key(changed(target.platform, timeout_seconds=1), token_uri=token_uri)
            began = time.monotonic()
            with pytest.raises(PlatformUnavailable, match="was silent"), platform.connect():
                pass
            assert 1 <= time.monotonic() - began < 2


@pytest.mark.usefixtures("impatient")
class TestBusyServers:
    @pytest.mark.parametrize("path", ["/", UPLOADS, "/drive/v3/files"])
    @pytest.mark.parametrize(
        ("status", "reason"),
        [(503, "backendError"), (429, "rateLimitExceeded"), (403, "userRateLimitExceeded")],
    )
    def test_it_is_asked_again(
        self,
        target: Target,
        drive: Drive,
        large: StagedFile,
        caplog: pytest.LogCaptureFixture,
        status: int,
        reason: str,
        path: str,
    ) -> None:
        with target.platform.connect() as connection:
            drive.fail(status, reason, times=2, path=path)
            connection.put(large, NAME)
        assert caplog.text == ""
        rclone.check(Path(large.path).parent, target, "in")

    def test_one_that_stays_busy(self, target: Target, drive: Drive, large: StagedFile) -> None:
        drive.fail(429, "rateLimitExceeded", times=100, path=UPLOADS)
        with pytest.raises(PlatformUnavailable, match=r"busy or out of order \(429 rateLimit"):
            put(target.platform, large)
        assert names(target) == []

    def test_reading_is_tried_again(
        self, target: Target, drive: Drive, large: StagedFile, tmp_path: Path
    ) -> None:
        put(target.platform, large)
        with target.platform.connect() as connection:
            drive.fail(500, "internalError", times=2, path=f"/drive/v3/files/{ids(drive)[0]}")
            assert content_of(connection, NAME, tmp_path) == random_bytes(LARGE)

    def test_an_upload_that_google_forgets_begins_again(
        self, target: Target, drive: Drive, large: StagedFile
    ) -> None:
        forgotten: list[int] = []

        def forget(done: int) -> None:
            if not forgotten:
                forgotten.append(done)
                drive.sessions.clear()

        with target.platform.connect() as connection:
            receipt = connection.put(large, NAME, forget)
        assert receipt.sent == large.bytes + LARGE
        assert len(ids(drive)) == 1
        rclone.check(Path(large.path).parent, target, "in")

    def test_uploads_that_google_always_forgets(
        self, target: Target, drive: Drive, large: StagedFile
    ) -> None:
        with (
            target.platform.connect() as connection,
            pytest.raises(
                PlatformUnavailable, match=r"lost the upload of in/products\.csv 3 times"
            ),
        ):
            connection.put(large, NAME, lambda done: drive.sessions.clear())
        assert names(target) == []

    def test_a_token_that_expires_is_replaced(
        self, target: Target, drive: Drive, large: StagedFile
    ) -> None:
        with target.platform.connect() as connection:
            drive.tokens.clear()
            connection.put(large, NAME)
        assert len(drive.tokens) == 1

    def test_a_token_that_is_never_accepted(self, target: Target, drive: Drive) -> None:
        drive.fail(401, "authError", times=10, path="/drive/")
        with (
            pytest.raises(PlatformMisconfigured, match="does not accept the key") as raised,
            target.platform.connect(),
        ):
            pass
        assert raised.value.field == "credentials"


class TestSameness:
    def test_a_replaced_file_keeps_its_id(
        self, target: Target, drive: Drive, large: StagedFile, tmp_path: Path
    ) -> None:
        put(target.platform, staged(tmp_path / "old.csv", b"old"))
        before = ids(drive)
        put(target.platform, large)
        assert ids(drive) == before

    def test_md5_is_enough_to_know_a_file(
        self, target: Target, drive: Drive, large: StagedFile
    ) -> None:
        drive.files.checksums = ("md5",)
        receipts = [put(target.platform, large), put(target.platform, large)]
        assert [(one.sent, one.verified) for one in receipts] == [(LARGE, "md5"), (0, "md5")]

    @pytest.mark.parametrize("checksums", [("md5",), ("md5", "sha256")])
    def test_the_same_size_is_not_the_same_file(
        self, target: Target, drive: Drive, tmp_path: Path, checksums: tuple[str, ...]
    ) -> None:
        drive.files.checksums = checksums
        put(target.platform, staged(tmp_path / "old.csv", b"old"))
        assert put(target.platform, staged(tmp_path / "new.csv", b"new")).sent == 3

    def test_a_new_file_that_google_damages_goes_away(
        self, target: Target, drive: Drive, large: StagedFile
    ) -> None:
        drive.files.damaged = 1
        with pytest.raises(PlatformUnavailable, match="holds other bytes"):
            put(target.platform, large)
        assert names(target) == []
        put(target.platform, large)
        rclone.check(Path(large.path).parent, target, "in")

    def test_a_replaced_file_that_google_damages_is_repaired_by_the_next_try(
        self, target: Target, drive: Drive, large: StagedFile, tmp_path: Path
    ) -> None:
        put(target.platform, staged(tmp_path / "old.csv", b"old"))
        before = ids(drive)
        drive.files.damaged = 1
        with pytest.raises(PlatformUnavailable, match="holds other bytes"):
            put(target.platform, large)
        assert put(target.platform, large).sent == LARGE
        assert ids(drive) == before

    def test_a_staged_file_that_has_changed_does_not_arrive(
        self, target: Target, large: StagedFile, tmp_path: Path
    ) -> None:
        put(target.platform, staged(tmp_path / "old" / "products.csv", b"old"))
        for content in (random_bytes(LARGE, 2), random_bytes(LARGE)[:-1], b""):
            Path(large.path).write_bytes(content)
            with pytest.raises(PlatformUnavailable, match="has changed since it was written"):
                put(target.platform, large)
        rclone.check(tmp_path / "old", target, "in")


class TestNames:
    def test_of_several_files_of_a_name_the_last_changed_counts(
        self, target: Target, drive: Drive, large: StagedFile, tmp_path: Path
    ) -> None:
        file = staged(tmp_path / "a.csv", b"a")
        for name in (NAME, "in/other.csv"):
            put(target.platform, file, name)
        [older], [newer] = ids(drive), ids(drive, "other.csv")
        drive.files.items[newer].values["name"] = "products.csv"
        put(target.platform, large)
        sizes = [drive.files.items[one].values["size"] for one in (older, newer)]
        assert sizes == ["1", str(LARGE)]
        with target.platform.connect() as connection:
            assert connection.list("in") == [RemoteFile(NAME, LARGE)]
            assert content_of(connection, NAME, tmp_path) == random_bytes(LARGE)
            connection.delete(NAME)
        assert ids(drive) == []

    def test_of_several_folders_of_a_name_the_oldest_is_used(
        self, target: Target, drive: Drive, tmp_path: Path
    ) -> None:
        file = staged(tmp_path / "a.csv", b"a")
        for name in ("in/a.csv", "later/b.csv"):
            put(target.platform, file, name)
        [oldest], [later] = ids(drive, "in"), ids(drive, "later")
        drive.files.items[later].values["name"] = "in"
        put(target.platform, file, "in/c.csv")
        assert drive.files.items[ids(drive, "c.csv")[0]].values["parents"] == [oldest]

    def test_another_case_is_another_name(
        self, target: Target, drive: Drive, tmp_path: Path
    ) -> None:
        file = staged(tmp_path / "a.csv", b"a")
        for name in ("in/a.csv", "in/A.csv", "In/a.csv"):
            put(target.platform, file, name)
        assert names(target, "in") == ["in/A.csv", "in/a.csv"]
        assert names(target, "In") == ["In/a.csv"]

    def test_a_google_document_is_neither_listed_nor_replaced(
        self, target: Target, drive: Drive, tmp_path: Path
    ) -> None:
        file = staged(tmp_path / "a.csv", b"a")
        put(target.platform, file)
        kind = "application/vnd.google-apps.spreadsheet"
        drive.files.items[ids(drive)[0]].values["mimeType"] = kind
        assert names(target) == []
        with pytest.raises(PlatformRefused, match="a folder or a Google document"):
            put(target.platform, file)

    def test_trash_does_not_count(self, target: Target, drive: Drive, tmp_path: Path) -> None:
        file = staged(tmp_path / "a.csv", b"a")
        put(target.platform, file)
        with target.platform.connect() as connection:
            connection.delete(NAME)
        assert names(target) == []
        assert put(target.platform, file).sent == 1
        assert len(ids(drive)) == 1

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("a.csv", "text/csv"),
            ("a.csv.gz", "application/gzip"),
            ("a.zip", "application/zip"),
            ("a.unheard-of", "application/octet-stream"),
        ],
    )
    def test_files_have_a_media_type(
        self, target: Target, drive: Drive, tmp_path: Path, name: str, expected: str
    ) -> None:
        put(target.platform, staged(tmp_path / "a.csv", b"a"), name)
        assert drive.files.items[ids(drive, name)[0]].values["mimeType"] == expected


def broken_key(platform: Gdrive, **fields: Any) -> Gdrive:
    return changed(platform, credentials=json.dumps(json.loads(platform.credentials) | fields))


def put_aside(drive: Drive, platform: Gdrive, tmp_path: Path) -> str:
    """Put a file and return its id."""
    put(platform, staged(tmp_path / "a.csv", b"a"), "a.csv")
    return ids(drive, "a.csv")[0]


Change = Callable[[Drive, Gdrive, Path], Gdrive]


def other_key(drive: Drive, platform: Gdrive, tmp_path: Path) -> Gdrive:
    drive.key = rsa.generate_private_key(65537, 2048).public_key()
    return platform


def deleted_key(drive: Drive, platform: Gdrive, tmp_path: Path) -> Gdrive:
    drive.key = None
    return platform


def wrong_clock(drive: Drive, platform: Gdrive, tmp_path: Path) -> Gdrive:
    drive.clock = 7_200
    return platform


def not_delegated(drive: Drive, platform: Gdrive, tmp_path: Path) -> Gdrive:
    drive.delegates = False
    return changed(platform, subject=SUBJECT)


def not_enabled(drive: Drive, platform: Gdrive, tmp_path: Path) -> Gdrive:
    drive.fail(403, "accessNotConfigured", path="/drive/")
    return platform


def not_shared(drive: Drive, platform: Gdrive, tmp_path: Path) -> Gdrive:
    drive.files.roles[drive.drive_id] = {}
    return platform


def trashed(drive: Drive, platform: Gdrive, tmp_path: Path) -> Gdrive:
    drive.files.items[drive.drive_id].values["trashed"] = True
    return platform


MISCONFIGURED: dict[str, tuple[Change, str, str]] = {
    "no credentials": (lambda d, p, t: changed(p, credentials=""), "credentials", "Set one of"),
    "both credentials": (
        lambda d, p, t: changed(p, credentials_file=str(t / "key.json")),
        "credentials",
        "Set one of",
    ),
    "no JSON": (
        lambda d, p, t: changed(p, credentials=p.credentials[:-9]),
        "credentials",
        "no key of a service account",
    ),
    "a list": (lambda d, p, t: changed(p, credentials="[1]"), "credentials", "no key of a"),
    "another kind": (
        lambda d, p, t: broken_key(p, type="authorized_user"),
        "credentials",
        "no key of a service account",
    ),
    "no private key": (
        lambda d, p, t: broken_key(p, private_key=json.loads(p.credentials)["private_key"][:300]),
        "credentials",
        "no key of a service account",
    ),
    "no e-mail": (lambda d, p, t: broken_key(p, client_email=None), "credentials", "no key of a"),
    "no file": (
        lambda d, p, t: changed(p, credentials="", credentials_file=str(t / "none.json")),
        "credentials_file",
        "cannot be read: No such file",
    ),
    "another key": (other_key, "credentials", "deleted or disabled"),
    "a deleted key": (deleted_key, "credentials", "deleted or disabled"),
    "a wrong clock": (wrong_clock, "credentials", "the clock of this machine"),
    "not delegated": (not_delegated, "subject", f"{EMAIL} may not act for {SUBJECT}"),
    "nobody": (
        lambda d, p, t: changed(p, subject="nobody@example.com"),
        "subject",
        "may not act for nobody@example.com",
    ),
    "not enabled": (not_enabled, "credentials", "API is not enabled"),
    "no folder": (
        lambda d, p, t: changed(p, folder_id="none"),
        "folder_id",
        f"shows no folder none to {EMAIL}",
    ),
    "not shared": (not_shared, "folder_id", f"to {EMAIL}"),
    "in the trash": (trashed, "folder_id", "in the trash"),
    "a file": (
        lambda d, p, t: changed(p, folder_id=put_aside(d, p, t)),
        "folder_id",
        "a file, not a folder",
    ),
}


@pytest.mark.parametrize("case", list(MISCONFIGURED))
def test_what_is_misconfigured_names_its_field(
    target: Target, drive: Drive, tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    change, field, words = MISCONFIGURED[case]
    platform = change(drive, changed(target.platform), tmp_path)
    with pytest.raises(PlatformMisconfigured) as raised, platform.connect():
        pass
    assert raised.value.field == field
    assert words in str(raised.value)
    assert str(raised.value).endswith(".")
    assert_hides_secrets(target, trace_of(raised.value) + caplog.text)


def test_a_certificate_of_others_is_not_trusted(target: Target, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    trusted = httplib2.CA_CERTS
    # Put back before the emulator puts back what was before it.
    httplib2.CA_CERTS = str(tmp_path / "other.pem")
    try:
        with pytest.raises(PlatformMisconfigured) as raised, target.platform.connect():
            pass
    finally:
        httplib2.CA_CERTS = trusted
    assert "not from an authority that is trusted" in str(raised.value)
    assert raised.value.field == "HTTPLIB2_CA_CERTS"


def test_an_address_is_no_folder_id(target: Target) -> None:
    with pytest.raises(ValidationError, match="folder_id"):
        changed(target.platform, folder_id=target.platform.location)


def test_a_key_in_a_file(target: Target, tmp_path: Path) -> None:
    key_file = tmp_path / "key.json"
    key_file.write_text(changed(target.platform).credentials, encoding="utf-8")
    platform = changed(target.platform, credentials="", credentials_file=str(key_file))
    put(platform, staged(tmp_path / "a.csv", b"a"))
    assert names(target) == [NAME]


class TestRefusals:
    def test_a_reader_may_list_but_not_write(
        self, target: Target, drive: Drive, large: StagedFile
    ) -> None:
        put(target.platform, large)
        drive.files.roles[drive.drive_id] = {EMAIL: "reader"}
        assert names(target) == [NAME]
        with pytest.raises(PlatformRefused, match="Content manager"):
            put(target.platform, large, "in/other.csv")

    def test_a_contributor_may_not_delete(
        self, target: Target, drive: Drive, large: StagedFile
    ) -> None:
        drive.files.roles[drive.drive_id] = {EMAIL: "writer"}
        put(target.platform, large)
        with (
            target.platform.connect() as connection,
            pytest.raises(PlatformRefused, match="Content manager"),
        ):
            connection.delete(NAME)

    def test_a_full_drive(self, target: Target, drive: Drive, large: StagedFile) -> None:
        drive.files.free = LARGE - 1
        with pytest.raises(PlatformRefused, match="no room"):
            put(target.platform, large)
        assert names(target) == []

    def test_a_drive_with_too_many_files(
        self, target: Target, drive: Drive, large: StagedFile
    ) -> None:
        drive.fail(403, "teamDriveFileLimitExceeded", path=UPLOADS)
        with pytest.raises(PlatformRefused, match="as many files as it may"):
            put(target.platform, large)

    def test_a_service_account_has_no_storage_but_a_person_has(
        self, target: Target, drive: Drive, large: StagedFile
    ) -> None:
        mine = changed(target.platform, folder_id=drive.personal_id)
        with pytest.raises(PlatformRefused, match="has no storage of its own: use a folder in a"):
            put(mine, large)
        put(changed(mine, subject=SUBJECT), large)
        with mine.connect() as connection:
            assert connection.list("in") == [RemoteFile(NAME, LARGE)]
