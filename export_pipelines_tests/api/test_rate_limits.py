import pytest

from export_pipelines.api.rate_limits import Allowance, RateLimits, TooManyRequests
from export_pipelines.errors import RequestError


class Clock:
    """Tells seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def set_limit(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_REQUESTS_PER_MINUTE", limit)


def taken(limits: RateLimits, key_id: str = "a") -> int:
    """Return how many requests a key may make until it is refused."""
    for count in range(10_000):
        try:
            limits.take(key_id)
        except TooManyRequests:
            return count
    raise AssertionError("there is no limit")


@pytest.mark.parametrize(("limit", "burst"), [("1", 20), ("200", 20), ("600", 60), ("3000", 300)])
def test_a_tenth_of_a_minute_may_come_at_once(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, limit: str, burst: int
) -> None:
    set_limit(monkeypatch, limit)
    limits = RateLimits(clock)
    assert limits.take("b") == Allowance(int(limit), burst - 1)
    assert taken(limits) == burst
    clock.seconds += 3_600
    assert taken(limits) == burst


def test_a_minute_brings_what_is_allowed_in_one(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    set_limit(monkeypatch, "600")
    limits = RateLimits(clock)
    first = taken(limits)
    later = 0
    for _ in range(60):
        clock.seconds += 1
        later += taken(limits)
    assert (first, later) == (60, 600)


def test_a_refused_key_may_come_again_when_it_was_told_to(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    set_limit(monkeypatch, "7")
    limits = RateLimits(clock)
    taken(limits)
    with pytest.raises(TooManyRequests) as refused:
        limits.take("a")
    assert refused.value.seconds == 9
    assert refused.value.allowance == Allowance(7, 0)
    assert str(refused.value) == (
        "This API key may make 7 requests a minute, and has made them: try again in 9 s. "
        "EXPORT_PIPELINES_REQUESTS_PER_MINUTE raises the limit."
    )
    clock.seconds += 8
    with pytest.raises(TooManyRequests) as refused:
        limits.take("a")
    assert refused.value.seconds == 1
    clock.seconds += 1
    assert limits.take("a") == Allowance(7, 0)


def test_keys_do_not_take_from_each_other(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    set_limit(monkeypatch, "200")
    limits = RateLimits(clock)
    assert taken(limits, "a") == 20
    assert taken(limits, "b") == 20


def test_there_may_be_no_limit(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    set_limit(monkeypatch, "none")
    limits = RateLimits(clock)
    assert {limits.take("a") for _ in range(1_000)} == {None}
    set_limit(monkeypatch, "many")
    with pytest.raises(RequestError, match="EXPORT_PIPELINES_REQUESTS_PER_MINUTE is 'many'"):
        limits.take("a")
