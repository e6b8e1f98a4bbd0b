import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from export_pipelines.clock import written
from export_pipelines.registry.database import writing
from export_pipelines.registry.models import SigningKeyRow
from export_pipelines.registry.signing import LONGEST_SECONDS, rotate_signing_key, signing_keys
from export_pipelines.resources import LINK_SECONDS
from export_pipelines.runs.links import LinkRefused, check_link, with_links
from export_pipelines.runs.views import ExportJob, JobFile

API = "https://shop.example/api/v1"
INVALID = "This link is not valid: read the job again for a new one."
NAMES = ("products-1.csv", "größe & co.csv")

Link = tuple[str, str, str, str]
"""Of a run, a part, with its end and its signature."""


def job(run_id: str = "run-1", *names: str) -> ExportJob:
    files = [JobFile(name=name, rows=1, bytes=2, sha256="ab") for name in names or NAMES]
    return ExportJob(
        id=run_id,
        status="completed",
        state="completed",
        resource_type="products",
        organization="default",
        progress=100,
        created_at="2026-03-01T12:00:00.000Z",
        format="csv",
        files=files,
    )


def parsed(url: str | None) -> Link:
    parts = urlsplit(str(url))
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert url == str(url).encode("ascii").decode()
    prefix = f"{API}/exports/files/"
    assert str(url).startswith(prefix)
    run_id = parts.path.rpartition("/")[2]
    return run_id, query.get("part", ""), query["expires"], query["signature"]


def link(part: str = NAMES[0]) -> Link:
    made = with_links(job(), API)
    urls = {file.name: file.url for file in made.files} | {"": made.file_url}
    return parsed(urls[part])


def refused(run_id: str, part: str, expires: str, signature: str, match: str = INVALID) -> None:
    with pytest.raises(LinkRefused, match=match):
        check_link(run_id, part, expires, signature, signing_keys())


@pytest.mark.parametrize("part", ["", *NAMES])
def test_a_link_is_good_for_five_minutes(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    began = int(time.time())
    run_id, named, expires, signature = link(part)
    check_link(run_id, named, expires, signature, signing_keys())

    assert (run_id, named) == ("run-1", part)
    assert began + LINK_SECONDS <= int(expires) <= time.time() + LINK_SECONDS
    monkeypatch.setattr(time, "time", lambda: int(expires))
    check_link(run_id, named, expires, signature, signing_keys())
    monkeypatch.setattr(time, "time", lambda: int(expires) + 0.1)
    refused(run_id, named, expires, signature, "This link has expired: read the job again")


def test_a_job_without_files_has_no_links() -> None:
    empty = job().model_copy(update={"files": []})

    assert with_links(empty, API) is empty


def test_links_leave_the_job_as_it_was() -> None:
    before = job()
    made = with_links(before, API)

    assert before.file_url is None
    assert all(file.url is None for file in before.files)
    assert made.model_copy(update={"files": before.files, "file_url": None}) == before


def test_the_job_in_a_link_is_quoted() -> None:
    made = with_links(job("a/b?c"), API)

    assert f"/exports/files/{quote('a/b?c')}?" in str(made.file_url)


ARABIC = {ord("0") + digit: chr(0x660 + digit) for digit in range(10)}
TRIES: dict[str, Callable[[Link], Link]] = {
    "another job": lambda good: ("run-2", *good[1:]),
    "another part": lambda good: (good[0], NAMES[1], *good[2:]),
    "all parts": lambda good: (good[0], "", *good[2:]),
    "a later end": lambda good: (*good[:2], str(int(good[2]) + 1), good[3]),
    "an end with a zero before it": lambda good: (*good[:2], f"0{good[2]}", good[3]),
    "an end with a blank before it": lambda good: (*good[:2], f" {good[2]}", good[3]),
    "an end that is no number": lambda good: (*good[:2], "tomorrow", good[3]),
    "a huge end": lambda good: (*good[:2], "9" * 10_000, good[3]),
    "an infinite end": lambda good: (*good[:2], "inf", good[3]),
    "an end in other digits": lambda good: (*good[:2], good[2].translate(ARABIC), good[3]),
    "no end": lambda good: (*good[:2], "", good[3]),
    "a truncated signature": lambda good: (*good[:3], good[3][:-1]),
    "a longer signature": lambda good: (*good[:3], good[3] + "0"),
    "no signature": lambda good: (*good[:3], ""),
    "another signature": lambda good: (*good[:3], "0" * 64),
    "a signature in capitals": lambda good: (*good[:3], good[3].upper()),
    "a signature that is no text": lambda good: (*good[:3], "\udcff"),
    "a part that is no text": lambda good: (good[0], "\udcff", *good[2:]),
    "a signature beyond ASCII": lambda good: (*good[:3], "ä" * 64),
    "fields that run together": lambda good: (f"{good[0]}\n{good[1]}", "", *good[2:]),
}


def test_a_link_that_was_changed_is_refused() -> None:
    good = link()
    check_link(*good, signing_keys())
    for name, change in TRIES.items():
        assert change(good) != good, name
        refused(*change(good))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(*[st.text(st.characters(codec=None)) for _ in range(4)]))
def test_no_made_up_link_is_followed(made_up: Link) -> None:
    refused(*made_up)


def age_retired(seconds: int) -> None:
    retired = written(datetime.now(timezone.utc) - timedelta(seconds=seconds))
    with writing() as session:
        for row in session.scalars(
            select(SigningKeyRow).where(SigningKeyRow.retired_at.isnot(None))
        ):
            row.retired_at = retired


def forget() -> None:
    """Have keys be read anew, as another process does."""
    from export_pipelines.registry import signing

    signing._known.clear()


def test_a_rotation_spares_the_links_that_are_out() -> None:
    before = link()
    rotate_signing_key()
    forget()
    after = link()

    check_link(*before, signing_keys())
    check_link(*after, signing_keys())
    assert before[3] != after[3]


def test_a_link_of_a_key_that_was_retired_long_ago_is_refused() -> None:
    before = link()
    rotate_signing_key()
    age_retired(LONGEST_SECONDS - 60)
    forget()
    check_link(*before, signing_keys())

    age_retired(LONGEST_SECONDS + 1)
    forget()
    refused(*before)


def test_a_link_of_another_registry_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    foreign = link()
    monkeypatch.setenv("EXPORT_PIPELINES_HOME", str(tmp_path_factory.mktemp("another")))

    refused(*foreign)


def test_a_link_of_a_key_that_is_gone_is_refused() -> None:
    foreign = link()
    with writing() as session:
        session.execute(delete(SigningKeyRow))
    forget()

    refused(*foreign)
