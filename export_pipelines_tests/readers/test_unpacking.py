import gzip
import io
import zipfile

import pytest

from export_pipelines_tests.contracts.frames import made_file
from export_pipelines_tests.readers.files import gzip_of, read, refusal, zipped

MB = 1 << 20


@pytest.mark.parametrize("piece", [b"\0" * 4, b"a,b\n", b'{"a":"' + b"x" * 100 + b'"}\n', b'""""'])
def test_a_gigabyte_in_gzip_is_refused_when_it_has_unpacked_to_what_is_allowed(
    piece: bytes,
) -> None:
    data = gzip_of(
        piece * (4 * MB // len(piece)), 250, first=b"" if piece[:1] in (b"\0", b"{") else b"c,d\n"
    )
    assert len(data) < 5 * MB
    what = "NUL" if piece[:1] == b"\0" else "unpacks to more than 5 MB"
    assert what in refusal(data, max_bytes=5 * MB)


def test_a_gigabyte_in_one_member_of_gzip() -> None:
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1) as packed:
        packed.write(b"a,b\n")
        for _ in range(16):
            packed.write(b"1,2\n" * MB)
    assert "unpacks to more than 2 MB" in refusal(target.getvalue(), max_bytes=2 * MB)


def test_what_is_allowed_is_read() -> None:
    text = b"a,b\n" + b"1,2\n" * 250
    for data in (gzip.compress(text), zipped({"a.csv": text})):
        assert len(read(data, max_bytes=1004).rows) == 250
        assert "unpacks to more than 1,003 bytes" in refusal(data, max_bytes=1003)


def test_gzip_of_many_members() -> None:
    data = gzip.compress(b"a,") + gzip.compress(b"") + gzip.compress(b"b\n1,2\n")
    assert read(data).rows == {2: {"a": "1", "b": "2"}}


@pytest.mark.parametrize("kept", [5, 12, 100, -1, -8])
def test_gzip_that_was_cut_off_is_refused(kept: int) -> None:
    data = gzip.compress(b"a,b\n" + b"".join(b"%d,2\n" % number for number in range(1000)))
    assert "is damaged or was cut off" in refusal(data[:kept])


@pytest.mark.parametrize("place", [200, 1000, -2, -6])
def test_damaged_gzip_is_refused(place: int) -> None:
    data = bytearray(gzip.compress(b"a,b\n" + b"".join(b"%d,2\n" % n for n in range(1000))))
    data[place] ^= 255
    assert "is damaged" in refusal(bytes(data))
    assert "is damaged" in refusal(gzip.compress(b"a,b\n1,2\n") + b"rubbish")


def test_archives_that_were_cut_off_are_refused() -> None:
    data = zipped({"a.csv": "a,b\n1,2\n"})
    assert "is damaged" in refusal(data[:-5])
    damaged = bytearray(data)
    damaged[len("a.csv") + 30] ^= 255
    assert "is damaged" in refusal(bytes(damaged))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("kind", ["csv", "excel"])
def test_compressions_that_may_unpack_to_anything_at_once_are_refused(
    method: int, kind: str
) -> None:
    members = {"a.csv": b"a,b\n"}
    if kind == "excel":
        with zipfile.ZipFile(io.BytesIO(made_file("excel", []).data)) as made:
            members = {name: made.read(name) for name in made.namelist()}
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert "a password or an unusual compression" in refusal(target.getvalue())


def test_members_with_a_password_are_refused() -> None:
    data = bytearray(zipped({"a.csv": "a,b\n"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert "with a password" in refusal(bytes(data))
