from typing import Any

import dagster as dg
import pytest

from export_pipelines.config import config_schema, export_request
from export_pipelines.errors import RequestError
from export_pipelines.formats import FORMATS
from export_pipelines.jobs import build_export_job
from export_pipelines_tests.test_definitions import SHARED


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_field_is_described_and_has_a_default(name: str) -> None:
    for field_name, field in config_schema(FORMATS[name]).items():
        assert field.description, field_name
        assert field.description[0].isupper()
        assert field.description.endswith("."), field_name
        assert not field.is_required


@pytest.mark.parametrize("name", list(FORMATS))
def test_config_is_one_flat_form(name: str) -> None:
    output_format = FORMATS[name]
    schema = config_schema(output_format)
    assert set(schema) == {*SHARED, *output_format.options.model_fields}
    defaults = {
        field_name: field.default_value
        for field_name, field in schema.items()
        if field_name in SHARED
    }
    assert defaults == SHARED | {
        "max_rows_per_file": output_format.default_max_rows_per_file,
        "compression": output_format.compressions[0],
    }
    for option, found in output_format.options.model_fields.items():
        assert schema[option].default_value == found.default
        assert schema[option].description == found.description


def test_what_is_not_shared_is_an_option() -> None:
    values = {**SHARED, "resource_type": "orders", "pretty": False, "file_name": "x"}
    request = export_request("json", values)
    assert request.format == "json"
    assert request.options == {"pretty": False}
    assert (request.resource_type, request.file_name) == ("orders", "x")


@pytest.mark.parametrize(
    ("config", "allowed"),
    [
        ({"compression": "lz4"}, "none | gzip | zstd"),
        ({"delimiter": "x"}, "','"),
        ({"utf8_bom": "yes"}, "Bool"),
        ({"colour": "red"}, "delimiter"),
        ({"filters": ["a"]}, "dict"),
        ({"filters": "a"}, "dict"),
        ({"filters": None}, "None"),
        ({"fields": "sku"}, "list"),
        ({"fields": [1]}, "String"),
        ({"max_rows_per_file": "many"}, "Int"),
        ({"resource_type": 5}, "String"),
        ({"rename": {"sku": 1}}, "String"),
        ({"rename": ["sku"]}, "dict"),
        ({"fixed_columns": ["a"]}, "dict"),
    ],
)
def test_other_types_are_refused_before_a_run_starts(config: dict[str, Any], allowed: str) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError) as caught:
        dg.validate_run_config(build_export_job("csv"), config)
    assert allowed in str(caught.value)
    assert next(iter(config)) in str(caught.value)


def test_headers_of_another_type_are_refused() -> None:
    """Requests that Dagster has not looked at: those of schedules, say."""
    sentence = r"^rename\.sku: Input should be a valid string, not 1\.$"
    with pytest.raises(RequestError, match=sentence):
        export_request("csv", {"rename": {"sku": 1}})
    with pytest.raises(RequestError, match=r"^fixed_columns: Input should be a valid .* not \[1\]"):
        export_request("csv", {"fixed_columns": [1]})
