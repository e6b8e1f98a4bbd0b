"""Rows of the sample shop as numbers: every value follows from the seed, table, column and row.

Nothing is drawn in sequence, so any row, and the key of any row it refers to, can be made alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from export_pipelines.catalog.keys import format_octets
from export_pipelines.catalog.sample import columns

Integers = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

START_MS = 1_672_531_200_000
"""2023-01-01 UTC: when the first row of every table was made."""

_SPAN_MS = 3 * 365 * 86_400_000
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Shop:
    """A sample shop: its seed and how many rows each table has."""

    seed: int
    sizes: Mapping[str, int]

    def rows(self, table: str, numbers: Integers) -> "Rows":
        """Return the rows of `table` with these numbers, counted from 0."""
        return Rows(self, table, numbers)

    def all(self, table: str, start: int, stop: int) -> "Rows":
        """Return the rows of `table` from `start` to before `stop`."""
        return Rows(self, table, np.arange(start, stop, dtype=np.int64))


@dataclass(frozen=True)
class Rows:
    """Some rows of one table."""

    shop: Shop
    table: str
    numbers: Integers

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.numbers)

    def of(self, table: str, numbers: Integers) -> "Rows":
        """Return rows of another table, such as those that these refer to."""
        return Rows(self.shop, table, numbers)

    def size(self, table: str) -> int:
        """Return how many rows `table` has in this shop."""
        return self.shop.sizes[table]

    def bits(self, column: str) -> Bits:
        """Return 64 random bits per row."""
        name = f"{self.shop.seed}/{self.table}/{column}".encode()
        start = np.uint64(int.from_bytes(blake2b(name, digest_size=8).digest(), "little"))
        mixed = start + (self.numbers.astype(np.uint64) + np.uint64(1)) * _GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        result: Bits = mixed ^ (mixed >> np.uint64(31))
        return result

    def below(self, column: str, bound: int) -> Integers:
        """Return a random integer from 0 to before `bound` per row."""
        result: Integers = ((self.bits(column) >> np.uint64(11)) % np.uint64(bound)).astype(
            np.int64
        )
        return result

    def chance(self, column: str, percent: int) -> Mask:
        """Return for each row whether it is among `percent` of 100."""
        result: Mask = self.below(column, 100) < percent
        return result

    def pick(self, column: str, words: Sequence[str | None]) -> pa.StringArray:
        """Return a random one of `words` per row."""
        return columns.take(words, self.below(column, len(words)))

    def created(self) -> Integers:
        """Return when each row was made, in milliseconds; later rows never earlier."""
        step = max(_SPAN_MS // max(self.size(self.table), 1), 1)
        result: Integers = START_MS + self.numbers * step + self.below("created_at", step)
        return result

    def keys(self) -> pa.StringArray:
        """Return the UUIDv7 key of each row, greater for each later row."""
        high, low = self.bits("id"), self.bits("id low")
        uuid = np.empty((len(self), 2), dtype=">u8")
        uuid[:, 0] = (
            (self.created().astype(np.uint64) << np.uint64(16))
            | np.uint64(0x7000)
            | (high >> np.uint64(52))
        )
        uuid[:, 1] = np.uint64(0x8000000000000000) | (low >> np.uint64(2))
        return format_octets(uuid.view(np.uint8))

    def refer(self, table: str, numbers: Integers, null: Mask | None = None) -> pa.StringArray:
        """Return the keys of the rows of another table, null where `null` says so."""
        return columns.nullify(self.of(table, numbers).keys(), null)

    def refer_any(self, table: str, column: str, *, null_percent: int = 0) -> pa.StringArray:
        """Return the key of a random row of another table per row, or null."""
        numbers = self.below(column, self.size(table))
        return self.refer(table, numbers, self.chance(f"{column} null", null_percent))
