from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.errors import RequestError
from export_pipelines.naming import file_names, folder_name, is_file_name, name_values

VALUES = name_values(
    resource_type="products",
    format_name="csv",
    run_id="7c1e",
    started_at="2026-01-31T23:30:00.000Z",
    time_zone="Europe/Paris",
)


@pytest.mark.parametrize(
    ("pattern", "base", "second"),
    [
        ("products", "products", "products-00002"),
        ("{resource_type}.{ext}", "products", "products-00002"),
        ("{resource_type}-{date}", "products-2026-02-01", "products-2026-02-01-00002"),
        ("{date:%Y%m%dT%H%M}_{format}", "20260201T0030_csv", "20260201T0030_csv-00002"),
        (
            "{resource_type}-{date:%Y-%m-%d}-{run_id}-{part:05d}.{ext}",
            "products-2026-02-01-7c1e",
            "products-2026-02-01-7c1e-00002",
        ),
        ("{part}_{resource_type}", "_products", "2_products"),
        ("a{part:03}b", "ab", "a002b"),
        ("{{not}} a placeholder", "{not} a placeholder", "{not} a placeholder-00002"),
        ("{{{run_id}}}.{part:d}", "{7c1e}", "{7c1e}.2"),
        ("a{{part}}", "a{part}", "a{part}-00002"),
        ("{part:03d}-{{part}}", "-{part}", "002-{part}"),
    ],
)
def test_names_of_one_file_and_of_numbered_ones(pattern: str, base: str, second: str) -> None:
    name, template = file_names(pattern, VALUES)
    assert (name, template.format(part=2)) == (base, second)


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("{resource}", "file_name: There is no placeholder 'resource'. Did you mean resource_type"),
        ("{}", "file_name: There is no placeholder ''."),
        ("{0}", "file_name: There is no placeholder '0'."),
        ("{date.year}", "file_name: There is no placeholder 'date.year'."),
        ("{run_id[0]}", "file_name: There is no placeholder 'run_id[0]'."),
        ("{run_id!r}", "file_name '{run_id!r}' is no pattern"),
        ("{run_id:>10000000000}", "file_name '{run_id:>10000000000}' is no pattern"),
        ("{part:,.3f}", "file_name '{part:,.3f}' is no pattern"),
        ("{part:999999d}", "file_name '{part:999999d}' is no pattern"),
        ("{date:%Y{run_id}}", "file_name '{date:%Y{run_id}}' is no pattern"),
        ("open {", "file_name 'open {' is no pattern"),
        ("{part:5}", "file_name '{part:5}' is no pattern"),
        ("{date:\udc80}", "file_name '{date:\\udc80}' is no pattern"),
        ("shut }", "file_name 'shut }' is no pattern"),
        ("{ext}", "file_name '{ext}': {ext} can only be at the end"),
        ("a.{ext}.{ext}", "file_name 'a.{ext}.{ext}': {ext} can only be at the end"),
        ("{date:%H:%M}", "file_name '00:30' cannot be a file's name"),
        ("{part}", "file_name '' cannot be a file's name"),
        ("../{run_id}", "file_name '../7c1e' cannot be a file's name"),
        ("manifest-{part}", "file_name 'manifest' cannot be a file's name"),
        ("x" * 199 + "-{part:05d}", "file_name 'xxx"),
    ],
)
def test_patterns_that_make_no_name_are_refused(pattern: str, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        file_names(pattern, VALUES)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("", ""),
        ("/", ""),
        ("exports", "exports"),
        ("/{resource_type}/{date:%Y}/{date:%m}/", "products/2026/02"),
        ("{run_id}", "7c1e"),
    ],
)
def test_folders(pattern: str, folder: str) -> None:
    assert folder_name(pattern, VALUES) == folder


@pytest.mark.parametrize(
    "pattern",
    ["..", "a/../b", "a//b", ".hidden", "a\\b", "{part}", "{ext}", "a\0b", "a/{run_id!s}"],
)
def test_folders_that_lead_elsewhere_are_refused(pattern: str) -> None:
    with pytest.raises(RequestError, match="subfolder"):
        folder_name(pattern, VALUES)


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_gets_a_sentence(pattern: str) -> None:
    try:
        base, template = file_names(pattern, VALUES)
    except RequestError:
        return
    numbers = {template.format(part=number) for number in (1, 2, 33)}
    assert len(numbers) == 3
    for name in (base, *numbers):
        assert "/" not in name
        assert not name.startswith(".")


def test_the_date_is_that_of_the_shop() -> None:
    assert isinstance(VALUES["date"], datetime)
    assert VALUES["date"].isoformat() == "2026-02-01T00:30:00+01:00"


@pytest.mark.parametrize("name", ["a.csv", "a b", "größe.csv", "a.csv.gz"])
def test_names_that_files_of_an_export_can_have(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a/b", "../a", "a\\b", "a\0", "a\n", "x" * 256, "a ", "\ud800"],
)
def test_names_that_no_file_of_an_export_has(name: str) -> None:
    assert not is_file_name(name)
