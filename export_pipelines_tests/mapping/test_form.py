from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from export_pipelines.errors import RequestError
from export_pipelines.mapping.form import MappingForm, text_tokens
from export_pipelines.readers.base import ROW
from export_pipelines_tests.mapping.frames import mapping_of


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({}, "Write one of column, constant and text."),
        ({"column": "a", "constant": "b"}, "Write one of column, constant and text."),
        ({"column": "a", "splt": "|"}, "There is no key 'splt'. Did you mean split?"),
        ({"column": "a", "split": "|", "number": {}}, "split and number do not go together"),
        ({"text": "{a}", "split": "|"}, "split needs column"),
        ({"column": "a", "otherwise": "keep"}, "otherwise needs values"),
        ({"constant": "a", "default": "b"}, "default does not go with constant"),
        ({"column": "a", "default": None}, "default has no value"),
        ({"column": ""}, "at least 1 character"),
        ({"column": "a", "split": ""}, "at least 1 character"),
        ({"column": "a", "values": {}}, "default is for empty cells"),
        ({"column": "a", "values": {" ": "x"}}, "default is for empty cells"),
        ({"column": "a", "values": {"x": "1", "x ": "2"}}, "differ only in the blanks"),
        ({"column": "a", "values": {"x": "1"}, "otherwise": "drop"}, "'keep', 'empty' or 'refuse'"),
        ({"column": "a", "boolean": {}}, "Write words for true"),
        ({"column": "a", "boolean": {"true": ["x", ""]}}, "use default for empty cells"),
        ({"column": "a", "boolean": {"true": "X", "false": ["y", "x"]}}, "both true and false"),
        ({"column": "a", "number": {"multiply": "0"}}, "greater than 0"),
        ({"column": "a", "number": {"multiply": "NaN"}}, "finite"),
        ({"column": "a", "number": {"multiply": "1" * 19}}, "18 digits"),
        ({"column": "a", "number": {"multiply": "1e900000000"}}, "18 digits"),
        ({"column": "a", "number": {"group_mark": "."}}, "they must differ"),
        ({"column": "a", "number": {"decimal_mark": ";"}}, "'.' or ','"),
        ({"column": "a", "number": ","}, "Write keys with values, of decimal_mark, group_mark"),
        ({"column": "a", "date": "%d"}, "does not say which day"),
        ({"text": "fixed"}, "use constant"),
        ({"text": "{a} {"}, "A brace at character 5 belongs to no header: write {{"),
        ({"text": "{a} {}"}, "A brace at character 5"),
        ({"text": "{a} }"}, "write }}"),
        (["a"], "Write keys with values, of column, constant"),
        (None, "Write keys with values, of column, constant"),
    ],
)
def test_what_does_not_fit_together_is_refused(rule: Any, sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        MappingForm.model_validate({"columns": {"to": rule}})
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({}, "Field required"),
        ({"columns": {}}, "at least 1 item"),
        ({"columns": {"a": "b"}, "colums": {}}, "There is no key 'colums'. Did you mean columns?"),
        ({"columns": {"a": "b"}, "ignore": ["b"]}, "'b' is ignored, but fills a"),
        ({"columns": {"a": {"text": "{b}"}}, "ignore": "b"}, "'b' is ignored, but fills a"),
        ({"columns": {"a": "b"}, "read": {"format": "xml"}}, "'csv'"),
        ({"columns": {"a": "b"}, "read": {"quote": "'"}}, "There is no key 'quote'"),
        ({"columns": {"a": "b"}, "read": {"sanitized": "perhaps"}}, "boolean"),
        ({"columns": {ROW: "b"}}, "cannot be used"),
        ({"columns": {"a": ROW}}, "cannot be used"),
        ({"columns": {"": "b"}}, "at least 1 character"),
    ],
)
def test_what_a_file_cannot_say_is_refused(form: Any, sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        MappingForm.model_validate(form)
    assert sentence in str(refused.value)


def test_a_mapping_may_be_for_one_resource_type_only() -> None:
    mapping_of({"a": "b"}).check_resource_type("products")
    sellers = replace(mapping_of({"a": "b"}), resource_type="suppliers")
    sellers.check_resource_type("suppliers")
    with pytest.raises(RequestError, match=r"^shop\.yaml maps suppliers, not products: choose"):
        sellers.check_resource_type("products")


def test_tokens_are_headers_and_what_is_between() -> None:
    assert text_tokens("{{{a: b!}}} c") == [
        (False, "{"),
        (True, "a: b!"),
        (False, "}"),
        (False, " c"),
    ]
