import gzip
import hashlib
import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export_pipelines import archive, compression
from export_pipelines.artifacts import StagedFile
from export_pipelines.compression import compress_files

PIECE = 5
CONTENTS = {"empty": b"", "one": b"12345", "more": "é漢é漢 and more".encode(), "last": b"x"}


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "PIECE_BYTES", PIECE)


def staged(folder: Path, contents: dict[str, bytes]) -> list[StagedFile]:
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [
        StagedFile(str(folder / name), name, number, len(content), warnings=(f"in {name}",))
        for number, (name, content) in enumerate(contents.items())
    ]


def unpacked(kind: str, data: bytes) -> bytes:
    if kind == "gzip":
        return gzip.decompress(data)
    found: bytes = pa.input_stream(io.BytesIO(data), compression="zstd").read()
    return found


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(("kind", "ending"), [("gzip", ".gz"), ("zstd", ".zst")])
def test_each_file_is_compressed_on_its_own(tmp_path: Path, kind: str, ending: str) -> None:
    files = staged(tmp_path / "files", CONTENTS)
    seen: list[int] = []
    made = compress_files(
        files, kind, tmp_path / "new" / "out", archive_name="", on_bytes=seen.append
    )
    assert [file.name for file in made] == [name + ending for name in CONTENTS]
    for file, before in zip(made, files, strict=True):
        data = Path(file.path).read_bytes()
        assert unpacked(kind, data) == CONTENTS[before.name]
        assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert (file.rows, file.warnings) == (before.rows, before.warnings)
        assert not Path(before.path).exists()
    total = sum(map(len, CONTENTS.values()))
    assert seen == sorted(seen)
    assert seen[-1] == total
    assert len(seen) == 1 + 1 + -(-len(CONTENTS["more"]) // PIECE) + 1


@pytest.mark.usefixtures("small_pieces")
def test_an_archive_holds_all_files(tmp_path: Path) -> None:
    files = staged(tmp_path / "files", CONTENTS)
    made = compress_files(files, "zip", tmp_path / "out", archive_name="all.zip")
    assert [file.name for file in made] == ["all.zip"]
    data = Path(made[0].path).read_bytes()
    assert (made[0].bytes, made[0].sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert made[0].rows == sum(file.rows for file in files)
    assert made[0].warnings == tuple(f"in {name}" for name in CONTENTS)
    with zipfile.ZipFile(made[0].path) as found:
        assert {name: found.read(name) for name in found.namelist()} == CONTENTS
        assert found.namelist() == list(CONTENTS)
    assert list((tmp_path / "files").iterdir()) == []


def test_files_can_stay_as_they_are(tmp_path: Path) -> None:
    files = staged(tmp_path / "files", CONTENTS)
    made = compress_files(files, "none", tmp_path / "out", archive_name="")
    for file, before in zip(made, files, strict=True):
        assert (file.path, file.name, file.bytes) == (before.path, before.name, before.bytes)
        assert file.sha256 == hashlib.sha256(CONTENTS[file.name]).hexdigest()
        assert Path(file.path).read_bytes() == CONTENTS[file.name]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["gzip", "zstd", "zip"])
@settings(max_examples=15)
@given(contents=st.lists(st.binary(max_size=40), min_size=1, max_size=4), size=st.integers(1, 9))
def test_any_content_comes_back_and_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, kind: str, contents: list[bytes], size: int
) -> None:
    named = {str(number): content for number, content in enumerate(contents)}
    results = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compression, "PIECE_BYTES", size)
        for _ in range(2):
            folder = tmp_path_factory.mktemp("c")
            made = compress_files(
                staged(folder / "in", named), kind, folder / "out", archive_name="a.zip"
            )
            results.append([Path(file.path).read_bytes() for file in made])
    assert results[0] == results[1]
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(results[0][0])) as found:
            assert [found.read(name) for name in named] == contents
    else:
        assert [unpacked(kind, data) for data in results[0]] == contents


def test_members_that_may_grow_beyond_four_gigabytes_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert archive.LARGE_BYTES * 1.001 < 1 << 32
    monkeypatch.setattr(compression, "LARGE_BYTES", 5)
    files = staged(tmp_path / "files", {"small": b"1234", "large": b"12345"})
    [made] = compress_files(files, "zip", tmp_path / "out", archive_name="a.zip")
    data = Path(made.path).read_bytes()
    with zipfile.ZipFile(made.path) as found:
        assert (found.read("small"), found.read("large")) == (b"1234", b"12345")
        versions = {info.filename: data[info.header_offset + 4] for info in found.infolist()}
    assert versions == {"small": 20, "large": 45}
