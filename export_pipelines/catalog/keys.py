"""Primary keys: UUIDv7 texts, whose order is the order in which rows were written."""

import secrets
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_RANDOM_BITS = 74
_COUNTER_BITS = 62
_COUNTER_MASK = (1 << _COUNTER_BITS) - 1
_LENGTH = 36
_DASHES = (8, 13, 18, 23)
_VERSION = 0x7
_VARIANT = 0b10


class KeySequence:
    """Makes strictly increasing UUIDv7 keys, from any number of threads.

    Keys of one sequence never repeat or go back, also within a millisecond and when the clock does.
    Keys of two processes in the same millisecond are unique but not ordered.
    """

    def __init__(self) -> None:
        """Start an empty sequence."""
        self._lock = threading.Lock()
        self._last = (0, 0)

    def next(self, milliseconds: int | None = None) -> str:
        """Return the next key; `milliseconds` since the epoch default to the clock."""
        now = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
        with self._lock:
            moment, bits = self._last
            if now > moment:
                # The top random bit starts at zero: room to count up within the millisecond.
                moment, bits = now, secrets.randbits(_RANDOM_BITS - 1)
            else:
                bits += 1 + secrets.randbits(32)
                if bits >> _RANDOM_BITS:
                    moment, bits = moment + 1, secrets.randbits(_RANDOM_BITS - 1)
            self._last = (moment, bits)
        return format_key(moment, bits)

    def many(self, count: int) -> "pa.StringArray":
        """Return the next keys, in their order: many times faster than one after the other."""
        import numpy as np

        steps = 1 + np.random.default_rng().integers(0, 1 << 32, count, dtype=np.uint64)
        counted = np.cumsum(steps, dtype=np.uint64)
        needed = int(counted[-1]) if count else 0
        with self._lock:
            moment, bits = self._last
            now = time.time_ns() // 1_000_000
            if now > moment or (bits & _COUNTER_MASK) + needed > _COUNTER_MASK:
                # From the beginning of a moment's counter there is room for all of them.
                moment = max(now, moment + 1)
                bits = secrets.randbits(_RANDOM_BITS) & ~_COUNTER_MASK
            first = bits & _COUNTER_MASK
            self._last = (moment, bits + needed)
        octets = np.empty((count, 16), dtype=np.uint8)
        octets[:, :8] = np.frombuffer(_high(moment, bits).to_bytes(8, "big"), dtype=np.uint8)
        low = counted + np.uint64((_VARIANT << _COUNTER_BITS) | first)
        octets[:, 8:] = low.astype(">u8").view(np.uint8).reshape(count, 8)
        return format_octets(octets)


def format_key(milliseconds: int, random_bits: int) -> str:
    """Return the UUIDv7 text for a moment and 74 random bits.

    Raises:
        ValueError: the moment does not fit in 48 bits or the random bits not in 74.
    """
    if not 0 <= milliseconds < 1 << 48:
        raise ValueError(f"{milliseconds} ms since 1970 does not fit in a UUIDv7 key (48 bits).")
    if not 0 <= random_bits < 1 << _RANDOM_BITS:
        raise ValueError(f"A UUIDv7 key holds {_RANDOM_BITS} random bits, not {random_bits:#x}.")
    low = (_VARIANT << _COUNTER_BITS) | (random_bits & _COUNTER_MASK)
    digits = f"{_high(milliseconds, random_bits):016x}{low:016x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _high(milliseconds: int, random_bits: int) -> int:
    return (milliseconds << 16) | (_VERSION << 12) | (random_bits >> _COUNTER_BITS)


def format_octets(octets: "npt.NDArray[np.uint8]") -> "pa.StringArray":
    """Return the texts of UUIDs given as 16 octets each."""
    import numpy as np
    import pyarrow as pa

    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    places = np.array([place for place in range(_LENGTH) if place not in _DASHES])
    text = np.full((len(octets), _LENGTH), ord("-"), dtype=np.uint8)
    text[:, places[0::2]] = digits[octets >> 4]
    text[:, places[1::2]] = digits[octets & 15]
    offsets = np.arange(0, (len(octets) + 1) * _LENGTH, _LENGTH, dtype=np.int32)
    return pa.StringArray.from_buffers(len(octets), pa.py_buffer(offsets), pa.py_buffer(text))


_keys = KeySequence()


def new_key() -> str:
    """Return a new UUIDv7 key, greater than every key this process made before."""
    return _keys.next()


def new_keys(count: int) -> "pa.StringArray":
    """Return new UUIDv7 keys in their order, greater than all that this process made before."""
    return _keys.many(count)
