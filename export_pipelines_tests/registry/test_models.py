from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from export_pipelines.catalog.database import begin
from export_pipelines.errors import RegistryUnavailable
from export_pipelines.registry import rows
from export_pipelines.registry.database import reading, writing
from export_pipelines.registry.models import Base, ProfileRow, ScheduleRow
from export_pipelines.registry.profiles import BUILT_IN, DEFAULT, Profile, find, registered
from export_pipelines.registry.schedules import Schedule, all_schedules, find_by_key
from export_pipelines.registry.schedules import registered as registered_schedule
from export_pipelines_tests.contracts.frames import TEXTS


def profile(name: str, **values: Any) -> ProfileRow:
    given = {"organization": "default", "is_active": True, "format": "csv", "request": {}}
    return ProfileRow(name=name, **{**given, **values})


def schedule(name: str, **values: Any) -> ScheduleRow:
    given = {
        "organization": "default",
        "is_active": True,
        "key": f"{name}_schedule",
        "cron_expression": "@daily",
        "timezone": "Europe/Paris",
        "profile": DEFAULT,
        "alert_after_minutes": 30,
    }
    return ScheduleRow(name=name, **{**given, **values})


def put(*added: ProfileRow | ScheduleRow) -> None:
    with writing() as session:
        for row in added:
            if isinstance(row, ProfileRow):
                rows.add(session, row)
            else:
                rows.add(session, row)


def test_names_are_unique_within_an_organization_whoever_writes(url: str) -> None:
    put(profile("mine"), profile("mine", organization="other"), schedule("mine"))
    with pytest.raises(RegistryUnavailable, match=r"(?i)unique"):
        put(profile("mine"))
    with pytest.raises(RegistryUnavailable, match=r"(?i)unique"):
        put(schedule("other", key="mine_schedule", organization="other"))


@pytest.mark.parametrize("platforms", [None, [], ["b", "a"], ["é'\"\\ 👩‍👧"]])
def test_no_platforms_are_not_those_by_default(url: str, platforms: list[str] | None) -> None:
    put(profile("mine", platforms=platforms), schedule("mine", platforms=platforms))
    with reading() as session:
        assert rows.require(session, ProfileRow, "default", "mine").platforms == platforms
        assert rows.require(session, ScheduleRow, "default", "mine").platforms == platforms
    with begin(url) as connection:
        statement = "SELECT count(*) FROM registry_profiles WHERE platforms IS NULL"
        assert connection.scalar(text(statement)) == (platforms is None)


DOCUMENTS = st.dictionaries(
    TEXTS,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(DOCUMENTS)
def test_requests_are_read_as_they_were(url: str, request_: dict[str, Any]) -> None:
    with writing() as session:
        row = profile("mine", request=request_)
        rows.add(session, row)
    with writing() as session:
        found = rows.require(session, ProfileRow, "default", "mine")
        assert found.request == request_
        session.delete(found)


def test_every_table_is_the_registry_s_by_its_name() -> None:
    assert all(table.startswith("registry_") for table in Base.metadata.tables)
    assert len(Base.metadata.tables) == 9


def test_a_profile_is_found_or_built_in(url: str) -> None:
    with reading() as session:
        assert find(session, "default", DEFAULT) == BUILT_IN
        assert find(session, "default", "mine") is None
    put(profile("mine", request={"a": 1}, platforms=["b"], is_active=False))
    put(profile(DEFAULT, format="xml"))
    with reading() as session:
        found = find(session, "default", "mine")
        assert found == Profile("mine", "csv", {"a": 1}, ["b"], is_active=False)
        assert found.run_config == {"a": 1, "platforms": ["b"]}
        own = find(session, "default", DEFAULT)
        assert own is not None
        assert own.format == "xml"
        assert find(session, "other", DEFAULT) == BUILT_IN
        stored = rows.require(session, ProfileRow, "default", "mine")
        assert registered(stored) == found


def test_schedules_come_with_their_profile(url: str) -> None:
    put(
        schedule("b", organization="other", key="b_schedule"),
        schedule("a", profile="mine"),
        schedule("c", profile="gone"),
        profile("mine"),
    )
    found = [(row.key, profile.name if profile else None) for row, profile in all_schedules()]
    assert found == [("a_schedule", "mine"), ("b_schedule", DEFAULT), ("c_schedule", None)]
    one = find_by_key("a_schedule")
    assert one is not None
    assert registered_schedule(one[0]) == Schedule(
        "a", "@daily", "Europe/Paris", "mine", None, 30, is_active=True
    )
    assert find_by_key("a") is None
    assert find_by_key("gone_schedule") is None
