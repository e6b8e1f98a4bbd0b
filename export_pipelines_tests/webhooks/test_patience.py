from datetime import timedelta

import pytest

from export_pipelines.webhooks.patience import delay, pause


def test_waiting_doubles_up_to_six_hours() -> None:
    seconds = [delay(attempts, 0) / timedelta(seconds=1) for attempts in range(1, 16)]
    assert seconds[:4] == [5, 10, 20, 40]
    assert seconds[11:] == [10_240, 20_480, 21_600, 21_600]
    assert delay(5_000, 0) == timedelta(hours=6)


def test_what_failed_together_is_not_tried_together() -> None:
    assert delay(1, 1) == timedelta(seconds=4)
    assert delay(3, 0.5) == timedelta(seconds=18)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 0), (4, 0), (5, 30), (6, 60), (9, 480), (10, 600), (1_000, 600)],
)
def test_pauses_grow_up_to_ten_minutes(failures: int, seconds: int) -> None:
    assert (pause(failures) or timedelta()) == timedelta(seconds=seconds)
