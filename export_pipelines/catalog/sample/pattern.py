"""How many rows belong to each row of another table, in a repeating pattern."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Amounts = Callable[[Integers], Integers]


class Pattern:
    """Children per parent: `counts[n % len(counts)]` for parent n.

    Children are numbered from 0 in the order of their parents.
    """

    def __init__(self, *counts: int) -> None:
        """Repeat `counts` for ever."""
        self._counts = np.array(counts, dtype=np.int64)
        self._first = np.concatenate([[0], np.cumsum(self._counts)[:-1]])
        self._parent = np.repeat(np.arange(len(counts)), self._counts)
        self._total = int(self._counts.sum())

    def size(self, parents: int) -> int:
        """Return how many children the first `parents` parents have."""
        return int(self.first(np.array([parents], dtype=np.int64))[0])

    def count(self, parents: Integers) -> Integers:
        """Return how many children each parent has."""
        return self._counts[parents % len(self._counts)]

    def first(self, parents: Integers) -> Integers:
        """Return the number of each parent's first child, or where it would be."""
        cycle, place = np.divmod(parents, len(self._counts))
        result: Integers = cycle * self._total + self._first[place]
        return result

    def parent(self, children: Integers) -> Integers:
        """Return the number of each child's parent."""
        cycle, place = np.divmod(children, self._total)
        result: Integers = cycle * len(self._counts) + self._parent[place]
        return result

    def place(self, children: Integers) -> Integers:
        """Return each child's place among its parent's children, from 0."""
        return children - self.first(self.parent(children))

    def sums(self, parents: Integers, amounts: Amounts) -> Integers:
        """Return the sum of each parent's children, given the amounts of children by number."""
        total = np.zeros(len(parents), dtype=np.int64)
        first, count = self.first(parents), self.count(parents)
        for place in range(int(self._counts.max())):
            there = count > place
            total[there] += amounts(first[there] + place)
        return total
