from pathlib import Path
from typing import Any

import pytest
import yaml

from export_pipelines import settings as places
from export_pipelines.config_types import is_secret
from export_pipelines.errors import ExportPipelinesError, RequestError
from export_pipelines.platforms import PLATFORMS
from export_pipelines.registration import files

SECRET = 'cörrect "horse" ${battery} \\'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP_USER", "shop")
    monkeypatch.setenv("SHOP_PASSWORD", SECRET)
    monkeypatch.setenv("EMPTY", "")
    return tmp_path / "registry.yaml"


def refusal(path: Path, text: str) -> str:
    """Return why a file is not taken."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ExportPipelinesError) as caught:
        files.check("default", files.read_file(path))
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


SFTP = "platforms: {p: {sftp: {host: h, username: u, %s}}}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("platforms: [", " is no YAML in line 1: "),
        ("a: \x07", " is no YAML"),
        ("- a", " must have names with values: platforms, profiles and schedules."),
        ("platform: {}", ": There is no field 'platform'. Did you mean platforms"),
        ("platforms: [a]", "platforms must have a name for each, with its fields below."),
        ("profiles: {1: {format: csv}}", "profiles must have a name for each"),
        ("platforms: {p: 5}", "platforms.p must have names with values: "),
        ("platforms: {p: {}}", "platforms.p: write one type of ftp, gdrive, local, minio, s3 and"),
        ("platforms: {p: {local: {}, ftp: {}}}", "platforms.p: write one type of "),
        ("platforms: {p: {lokal: {}}}", "platforms.p: There is no field 'lokal'. Did you mean loc"),
        ("platforms: {p: {local: /srv}}", "platforms.p.local: its fields must be names with valu"),
        ("platforms: {p: {local: {}}}", "p.folder is missing."),
        (
            "platforms: {p: {local: {folder: /}, is_active: 1}}",
            "platforms.p.is_active must be tr",
        ),
        ("platforms: {p/q: {local: {folder: /}}}", "'p/q' cannot be a platform's name"),
        (SFTP % "password: 5", "p.password is a secret: put it into a variable of the environment"),
        (
            SFTP % "password: '${UNSET}'",
            "platforms.p.password: the variable UNSET is not set her",
        ),
        (SFTP % "password: '${EMPTY}'", "platforms.p.password: the variable EMPTY is empty here."),
        (SFTP % "password: {env: UNSET}", "p.password: the variable UNSET is not set where export"),
        (SFTP % "folder: 'in/${SHOP_USER}'", "platforms.p.folder: a variable stands for a whole v"),
        ("profiles: {p: {}}", "profiles.p.format is missing: name the format of its exports."),
        ("profiles: {p: csv}", "profiles.p.format is missing"),
        ("profiles: {p: {format: xml}}", "There is no format 'xml'. Choose from csv"),
        ("profiles: {p: {format: csv, fild: [a]}}", "The request does not fit export_csv: "),
        ("profiles: {p: {format: csv, 5: x}}", "p has the name 5: write it in quotes, as a text."),
        ("profiles: {p: {format: csv, filters: {5: x}}}", "p.filters has the name 5: write it in"),
        ("profiles: {p: {format: csv, filters: {price: .nan}}}", "p.filters.price is nan: write"),
        ("profiles: {p: {format: csv, filters: &a {x: *a}}}", "p.filters.x has itself in it"),
        ("platforms: {p: {local: {folder: /, 5: x}}}", "p: There is no field 5. Choose from"),
        ("schedules: {s: {5: x}}", "schedules.s: There is no field 5. Choose from"),
        ("platforms: {p: {5: x}}", "platforms.p: There is no field 5. Choose from"),
        ("5: x", ": There is no field 5. Choose from"),
        (
            "profiles: {p: {format: csv, platforms: nas}}",
            "profiles.p.platforms must be a list of",
        ),
        ("profiles: {p: {format: csv, platforms: [nas]}}", "There is no platform 'nas'"),
        ("profiles: {p: {format: csv, is_active: 'no'}}", "profiles.p.is_active must be true or f"),
        ("schedules: {s: {}}", "schedules.s.cron_expression must be a text, not None."),
        ("schedules: {s: {cron_expression: 5}}", "schedules.s.cron_expression must be a text, not"),
        (
            "schedules: {s: {cron_expresion: '@daily'}}",
            "schedules.s: There is no field 'cron_ex",
        ),
        ("schedules: {s: {cron_expression: '@dayly'}}", "'@dayly' is not one of @hourly, "),
        (
            "schedules: {s: {cron_expression: '@daily', alert_after_minutes: '5'}}",
            "schedules.s.alert_after_minutes must be a number, not '5'.",
        ),
        (
            "schedules: {s: {cron_expression: '@daily', alert_after_minutes: true}}",
            "schedules.s.alert_after_minutes must be a number, not True.",
        ),
        (
            "schedules: {s: {cron_expression: '@daily', platforms: [nas]}}",
            "There is no platform 'nas'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(file: Path, text: str, sentence: str) -> None:
    assert refusal(file, text).removeprefix(str(file)).startswith(sentence)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be read: No such file or directory"):
        files.read_file(tmp_path / "none.yaml")
    with pytest.raises(RequestError, match="cannot be read: Is a directory"):
        files.read_file(tmp_path)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (kind, name)
        for kind, platform in PLATFORMS.items()
        for name, field in platform.model_fields.items()
        if is_secret(field)
    ],
)
@pytest.mark.parametrize("literal", [SECRET, [SECRET], 5, "x ${SHOP_PASSWORD}"], ids=repr)
def test_no_secret_is_taken_from_a_file_itself(
    file: Path, kind: str, field: str, literal: Any
) -> None:
    text = yaml.safe_dump({"platforms": {"p": {kind: {field: literal}}}})
    sentence = refusal(file, text)
    assert f"p.{field}" in sentence
    assert "is a secret: put it into a variable" in sentence or "a whole value" in sentence
    assert not (places.home_folder() / "registry.db").exists()
