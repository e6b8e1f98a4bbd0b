"""Primary keys: UUIDv7 texts, whose order is the order in which rows were written."""

import secrets
import threading
import time

_RANDOM_BITS = 74
_COUNTER_BITS = 62
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


def format_key(milliseconds: int, random_bits: int) -> str:
    """Return the UUIDv7 text for a moment and 74 random bits.

    Raises:
        ValueError: the moment does not fit in 48 bits or the random bits not in 74.
    """
    if not 0 <= milliseconds < 1 << 48:
        raise ValueError(f"{milliseconds} ms since 1970 does not fit in a UUIDv7 key (48 bits).")
    if not 0 <= random_bits < 1 << _RANDOM_BITS:
        raise ValueError(f"A UUIDv7 key holds {_RANDOM_BITS} random bits, not {random_bits:#x}.")
    high = (milliseconds << 16) | (_VERSION << 12) | (random_bits >> _COUNTER_BITS)
    low = (_VARIANT << _COUNTER_BITS) | (random_bits & ((1 << _COUNTER_BITS) - 1))
    digits = f"{high:016x}{low:016x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


_keys = KeySequence()


def new_key() -> str:
    """Return a new UUIDv7 key, greater than every key this process made before."""
    return _keys.next()
