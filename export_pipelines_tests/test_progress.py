from collections.abc import Mapping

import pytest

from export_pipelines.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("stage", "first", "half", "last"),
    [
        ("chunk", "0", "20", "40"),
        ("serialize", "40", "57", "75"),
        ("compress", "75", "85", "95"),
        ("upload", "95", "96", "97"),
        ("deliver", "97", "98", "99"),
    ],
)
def test_stages_share_the_percentage(stage: str, first: str, half: str, last: str) -> None:
    published: list[Mapping[str, str]] = []
    clock = Clock()
    progress = Progress(stage, 10, published.append, clock)
    clock.now += 1
    progress.report(5, "1/2")
    progress.report(10, "2/2")
    assert published == [
        {"export/stage": stage, "export/progress": first},
        {"export/stage": stage, "export/progress": half, "export/parts": "1/2"},
        {"export/stage": stage, "export/progress": last, "export/parts": "2/2"},
    ]


def test_reports_are_not_more_often_than_is_worth_it_but_the_last_is_made() -> None:
    published: list[Mapping[str, str]] = []
    clock = Clock()
    progress = Progress("chunk", 1000, published.append, clock)
    for done in range(1, 1001):
        clock.now += 0.01
        progress.report(done)
    assert published[-1]["export/progress"] == "40"
    assert 20 <= len(published) <= 23


def test_more_than_all_and_nothing_to_do_stay_within_the_stage() -> None:
    published: list[Mapping[str, str]] = []
    Progress("chunk", 0, published.append).report(7)
    assert [tags["export/progress"] for tags in published] == ["0", "40"]
