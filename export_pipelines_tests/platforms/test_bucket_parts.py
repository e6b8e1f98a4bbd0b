from dataclasses import replace
from hashlib import md5, sha256
from pathlib import Path

import pytest

from export_pipelines.platforms.bucket_parts import (
    PART_BYTES,
    cut_parts,
    part_bytes,
    require_unchanged,
)
from export_pipelines_tests.contracts.platforms import random_bytes, staged

MIB = 1 << 20


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        (0, [0]),
        (1, [1]),
        (PART_BYTES, [PART_BYTES]),
        (PART_BYTES + 1, [PART_BYTES, 1]),
        (2 * PART_BYTES, [PART_BYTES, PART_BYTES]),
    ],
)
def test_parts_are_the_file(tmp_path: Path, size: int, sizes: list[int]) -> None:
    content = random_bytes(size)
    parts = cut_parts(staged(tmp_path / "a", content))
    assert [part.size for part in parts] == sizes
    assert [part.number for part in parts] == list(range(1, len(sizes) + 1))
    for part in parts:
        piece = content[part.start : part.start + part.size]
        assert part.md5 == md5(piece).digest()
        assert part.sha256 == sha256(piece).digest()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, 16 * MIB),
        (10_000 * 16 * MIB, 16 * MIB),
        (10_000 * 16 * MIB + 1, 17 * MIB),
        (5 << 40, 525 * MIB),
    ],
)
def test_parts_are_never_too_many(size: int, expected: int) -> None:
    assert part_bytes(size) == expected
    assert -(-size // expected) <= 10_000


def test_a_file_that_has_changed_is_not_sent(tmp_path: Path) -> None:
    file = replace(staged(tmp_path / "a", b"abc"), sha256=sha256(b"abd").hexdigest())
    with pytest.raises(OSError, match="has changed since it was written"):
        require_unchanged(file)


@pytest.mark.parametrize("size", [0, 2, 4])
def test_a_file_of_another_size_is_not_sent(tmp_path: Path, size: int) -> None:
    file = staged(tmp_path / "a", b"abc")
    [part] = cut_parts(file)
    (tmp_path / "a").write_bytes(b"x" * size)
    with pytest.raises(OSError, match="has changed since it was written"):
        cut_parts(file)
    if size < file.bytes:
        with pytest.raises(OSError, match="has changed since it was written"):
            assert part.md5
