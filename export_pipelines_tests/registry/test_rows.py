import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.clock import seconds_of
from export_pipelines.errors import NameTaken, NotRegistered, RequestError
from export_pipelines.registry import rows
from export_pipelines.registry.database import reading, schedules_revision, writing
from export_pipelines.registry.models import NAME_CHARACTERS, ProfileRow, ScheduleRow


def put_profile(name: str, organization: str = "default") -> ProfileRow:
    row = ProfileRow(organization=organization, name=name, is_active=True, format="csv", request={})
    with writing() as session:
        rows.add(session, row)
    return row


@pytest.mark.parametrize("name", ["a", "Shop 1", "été", "店", "a/b", "'", "x" * NAME_CHARACTERS])
def test_names_are_what_people_can_read(name: str) -> None:
    assert rows.check_name("profile", name) == name


@pytest.mark.parametrize("name", ["", " ", " a", "a ", "a\n", "a\tb", "a\0b", "a\u202eb", "\ud800"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(RequestError) as refused:
        rows.check_name("profile", name)
    assert str(refused.value) == (
        f"{name!r} cannot be a profile's name: use 1 to 100 characters that can be seen, without "
        "blanks around them."
    )


@given(st.text(max_size=NAME_CHARACTERS + 5))
def test_a_name_that_is_taken_can_be_stored_and_typed(name: str) -> None:
    try:
        rows.check_name("profile", name)
    except RequestError:
        return
    assert 1 <= len(name) <= NAME_CHARACTERS
    assert name.encode()
    assert not re.search(r"[\0-\x1f\x7f]|^\s|\s$", name)


def test_a_name_of_more_characters_than_fit_is_shortened_in_the_sentence() -> None:
    with pytest.raises(RequestError) as refused:
        rows.check_name("profile", "x" * 10_000)
    assert len(str(refused.value)) < 250


def test_rows_have_an_id_and_the_time(url: str) -> None:
    row = put_profile("mine")
    assert len(row.id) == 36
    assert row.created_at == row.updated_at
    assert seconds_of(row.created_at) > 1_700_000_000


def test_rows_are_found_by_name_and_by_id_in_their_organization_only(url: str) -> None:
    mine, theirs = put_profile("mine"), put_profile("mine", "other")
    put_profile("second")
    with reading() as session:
        for name in ("mine", mine.id):
            found = rows.find(session, ProfileRow, "default", name)
            assert found is not None
            assert found.id == mine.id
            assert rows.require(session, ProfileRow, "default", name) is found
        for name in ("Mine", "", theirs.id, "mine "):
            assert rows.find(session, ProfileRow, "default", name) is None
        assert [row.name for row in rows.all_of(session, ProfileRow, "default")] == [
            "mine",
            "second",
        ]
        assert rows.all_of(session, ScheduleRow, "default") == []


def test_a_name_goes_before_an_id(url: str) -> None:
    first = put_profile("first")
    named = put_profile(first.id)
    with reading() as session:
        assert rows.require(session, ProfileRow, "default", first.id).id == named.id


def test_the_nearest_names_are_proposed(url: str) -> None:
    with reading() as session, pytest.raises(NotRegistered) as refused:
        rows.require(session, ProfileRow, "default", "weekly")
    assert str(refused.value) == "There is no profile 'weekly': none is registered."
    for name in ("weekly export", "all"):
        put_profile(name)
    put_profile("weekly", "other")
    with reading() as session, pytest.raises(NotRegistered) as refused:
        rows.require(session, ProfileRow, "default", "weekly expert")
    assert str(refused.value) == (
        "There is no profile 'weekly expert'. Did you mean weekly export? "
        "Choose from all and weekly export."
    )


def test_a_name_is_free_until_it_is_taken(url: str) -> None:
    put_profile("mine", "other")
    with reading() as session:
        rows.require_free(session, ProfileRow, "default", "mine")
    put_profile("mine")
    with reading() as session:
        rows.require_free(session, ScheduleRow, "default", "mine")
        with pytest.raises(NameTaken) as refused:
            rows.require_free(session, ProfileRow, "default", "mine")
    assert str(refused.value) == (
        "There is already a profile 'mine': choose another name, or change that one."
    )


def test_a_name_is_free_again_within_the_step_that_removes_it(url: str) -> None:
    put_profile("mine")
    with writing() as session:
        session.delete(rows.require(session, ProfileRow, "default", "mine"))
        rows.require_free(session, ProfileRow, "default", "mine")
        again = ProfileRow(
            organization="default", name="mine", is_active=False, format="xml", request={}
        )
        rows.add(session, again)
    with reading() as session:
        assert rows.require(session, ProfileRow, "default", "mine").format == "xml"


def test_switching_says_whether_it_was_otherwise_before(url: str) -> None:
    before = put_profile("mine").updated_at
    with writing() as session:
        row = rows.require(session, ProfileRow, "default", "mine")
        assert not rows.switch(row, is_active=True)
        assert row.updated_at == before
        row.updated_at = ""
        assert rows.switch(row, is_active=False)
        assert row.updated_at >= before
    with reading() as session:
        assert not rows.require(session, ProfileRow, "default", "mine").is_active


def test_changes_of_schedules_are_counted(url: str) -> None:
    for count in range(3):
        assert schedules_revision() == count
        with writing() as session:
            rows.changed(session)
