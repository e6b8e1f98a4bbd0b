import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.catalog.keys import KeySequence, format_key, new_key


def test_new_keys_are_uuid7_and_increase() -> None:
    keys = [new_key() for _ in range(5_000)]
    assert keys == sorted(set(keys))
    for key in keys[:100]:
        parsed = uuid.UUID(key)
        assert str(parsed) == key
        assert parsed.version == 7
        assert parsed.variant == uuid.RFC_4122


def test_keys_of_threads_never_collide() -> None:
    sequence = KeySequence()
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: sequence.next(), range(4_000)))
    assert len(set(keys)) == 4_000


def test_keys_increase_when_the_clock_goes_back() -> None:
    sequence = KeySequence()
    keys = [sequence.next(moment) for moment in (2_000, 2_000, 1_000, 1_999, 2_001)]
    assert keys == sorted(set(keys))


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_a_key_holds_its_moment_and_bits(milliseconds: int, bits: int) -> None:
    number = uuid.UUID(format_key(milliseconds, bits)).int
    assert number >> 80 == milliseconds
    assert (number >> 64 & 0xFFF) << 62 | number & (2**62 - 1) == bits


@pytest.mark.parametrize(("moment", "bits"), [(-1, 0), (2**48, 0), (0, -1), (0, 2**74)])
def test_what_does_not_fit_is_refused(moment: int, bits: int) -> None:
    with pytest.raises(ValueError, match="UUIDv7"):
        format_key(moment, bits)
