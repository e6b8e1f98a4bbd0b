from dataclasses import replace
from typing import Any

import dagster as dg
import pytest

from export_pipelines import settings as places
from export_pipelines.errors import ExportPipelinesError, NameTaken, RequestError
from export_pipelines.registration import platforms, profiles, schedules
from export_pipelines.registration.platforms import Platform
from export_pipelines.registration.transactions import registering
from export_pipelines.registry import rows
from export_pipelines.registry.database import reading, schedules_revision, writing
from export_pipelines.registry.models import PlatformRow, ProfileRow, ScheduleRow
from export_pipelines.registry.profiles import BUILT_IN, Profile, registered
from export_pipelines.registry.schedules import Schedule, all_schedules

WEEKLY = Profile("weekly", "csv", {"resource_type": "products", "fields": ["sku"]}, ["partner"])


@pytest.fixture(autouse=True)
def _file() -> None:
    each = "{local: {folder: /srv}}"
    places.platforms_file().write_text(f"platforms: {{partner: {each}, nas: {each}}}")


@pytest.fixture
def shop(sqlite_shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", sqlite_shop)


def add(asked: Profile, organization: str = "default") -> ProfileRow:
    with writing() as session:
        return profiles.add(session, organization, asked)


def change(asked: Profile) -> bool:
    with writing() as session:
        row = rows.require(session, ProfileRow, "default", asked.name)
        return profiles.change(session, row, asked)


def remove(name: str) -> None:
    with writing() as session:
        profiles.remove(session, rows.require(session, ProfileRow, "default", name))


def stored(name: str = "weekly", organization: str = "default") -> ProfileRow:
    with reading() as session:
        return rows.require(session, ProfileRow, organization, name)


@pytest.mark.usefixtures("shop")
def test_a_profile_that_can_be_exported() -> None:
    assert profiles.check("default", WEEKLY, ["partner"]) == (WEEKLY, [])
    assert profiles.check("default", BUILT_IN) == (BUILT_IN, [])
    assert not (places.home_folder() / "registry.db").exists()


def test_without_a_catalogue_fields_are_not_checked_and_that_is_said() -> None:
    asked = replace(WEEKLY, request={"fields": ["colour"]}, platforms=None)
    checked, [note] = profiles.check("default", asked)
    assert checked == asked
    assert note.startswith("Names of fields were not checked: There is no SQLite database at ")


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": " weekly"}, "' weekly' cannot be a profile's name"),
        ({"format": "xml"}, "There is no format 'xml'. Choose from csv"),
        ({"request": {"colour": 1}}, "The request does not fit export_csv: "),
        ({"request": {"max_rows_per_file": "many"}}, "The request does not fit export_csv: "),
        ({"request": {"platforms": []}}, "platforms does not belong into the request"),
        ({"request": {"resource_type": "product"}}, "There is no resource type 'product'. Did you"),
        ({"request": {"fields": ["colour"]}}, "fields: There is no products field 'colour'."),
        ({"request": {"filters": {"is_active": "yes"}}}, "Filter 'is_active': 'yes' is not true o"),
        ({"request": {"file_name": "a/b"}}, "file_name 'a/b' cannot be a file's name"),
        ({"request": {5: "x"}}, "weekly has the name 5: write it in quotes, as a text."),
        ({"request": {"filters": {5: 1}}}, "weekly.filters has the name 5: write it in quotes"),
        ({"request": {"filters": {"price": float("nan")}}}, "weekly.filters.price is nan: write"),
        ({"platforms": ["partnr"]}, "There is no platform 'partnr'"),
        ({"platforms": ["partner", "partner"]}, "platforms names partner more than once."),
    ],
)
def test_a_profile_whose_exports_would_fail_is_refused(
    fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ExportPipelinesError) as caught:
        profiles.check("default", replace(WEEKLY, **fields), ["partner"])
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("format_name", ["csv", "excel", "json", "parquet", "zip"])
@pytest.mark.usefixtures("shop")
def test_every_format(format_name: str) -> None:
    assert profiles.check("default", Profile("any", format_name))[1] == []


@pytest.mark.parametrize("platforms", [None, [], ["partner", "nas"]])
def test_a_profile_comes_back_as_it_was(platforms: list[str] | None) -> None:
    asked = replace(WEEKLY, platforms=platforms, is_active=False)
    add(asked)
    assert registered(stored()) == asked
    assert not change(asked)


def test_names_are_those_of_one_organization() -> None:
    add(WEEKLY)
    with pytest.raises(NameTaken, match="There is already a profile 'weekly'"):
        add(replace(WEEKLY, format="json"))
    add(replace(WEEKLY, format="json"), "acme")
    assert (stored().format, stored("weekly", "acme").format) == ("csv", "json")


def test_what_is_the_same_stays_untouched() -> None:
    before = add(WEEKLY).updated_at
    assert not change(replace(WEEKLY))
    assert stored().updated_at == before
    assert change(replace(WEEKLY, platforms=None))
    assert stored().platforms is None


def test_definitions_follow_formats_and_the_default_only() -> None:
    add(WEEKLY)
    before = schedules_revision()
    change(replace(WEEKLY, request={}, platforms=[], is_active=False))
    assert schedules_revision() == before
    change(replace(WEEKLY, format="json"))
    assert schedules_revision() == before + 1
    add(replace(BUILT_IN, format="json"))
    assert schedules_revision() == before + 2
    remove("default")
    remove("weekly")
    assert schedules_revision() == before + 3


def test_a_profile_that_schedules_run_is_not_removed(instance: dg.DagsterInstance) -> None:
    add(WEEKLY)
    add(WEEKLY, "acme")
    with registering(instance) as session:
        for name in ("Mondays", "Fridays"):
            schedules.add(session, "default", Schedule(name, "@weekly", profile="weekly"))
    with pytest.raises(RequestError, match="is run by the schedules 'Fridays' and 'Mondays': "):
        remove("weekly")
    assert stored().name == "weekly"
    with writing() as session:
        profiles.remove(session, rows.require(session, ProfileRow, "acme", "weekly"))
    with registering(instance) as session:
        for row in rows.all_of(session, ScheduleRow, "default"):
            schedules.remove(session, row)
    remove("weekly")


def test_the_built_in_default_takes_the_place_of_a_removed_one(
    instance: dg.DagsterInstance,
) -> None:
    own = replace(BUILT_IN, format="json")
    add(own)
    with registering(instance) as session:
        schedules.add(session, "default", Schedule("Mondays", "@weekly"))
    assert [profile for _, profile in all_schedules()] == [own]
    remove("default")
    assert [profile for _, profile in all_schedules()] == [BUILT_IN]


def register_platform(name: str) -> str:
    """Register a folder, and return its id."""
    with writing() as session:
        return platforms.add(session, "default", Platform(name, "local", {"folder": "/srv"})).id


@pytest.mark.usefixtures("shop")
def test_a_platform_that_is_named_by_its_id_is_in_use() -> None:
    asked = replace(WEEKLY, platforms=[register_platform("north")])
    checked, _ = profiles.check("default", asked)
    assert checked == replace(WEEKLY, platforms=["north"])
    add(checked)
    with pytest.raises(RequestError, match="is used by the profile 'weekly'"), writing() as session:
        platforms.remove(session, rows.require(session, PlatformRow, "default", "north"))


@pytest.mark.usefixtures("shop")
def test_a_platform_is_not_named_twice_by_its_name_and_its_id() -> None:
    asked = replace(WEEKLY, platforms=["north", register_platform("north")])
    with pytest.raises(RequestError, match="platforms names north more than once"):
        profiles.check("default", asked)
