import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines.errors import RequestError
from export_pipelines.registration.json_values import require_json
from export_pipelines_tests.contracts.frames import TEXTS

ATOMS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.text())
NAMES = st.one_of(TEXTS, st.integers(0, 9), st.none())
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
CYCLE: dict[str, Any] = {"x": 1}
CYCLE["y"] = [CYCLE]


@given(VALUES)
def test_what_is_taken_comes_back_as_it_was(value: Any) -> None:
    try:
        require_json(value, "request")
    except RequestError as error:
        said = str(error)
        assert said.startswith("request")
        assert said.isprintable()
        return
    assert json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({5: 1}, "p has the name 5: write it in quotes, as a text."),
        ({"a": [{None: 1}]}, "p.a[0] has the name None: write it in quotes, as a text."),
        ({"a": float("nan")}, "p.a is nan: write a number, or leave it out."),
        ({"a": [1, float("-inf")]}, "p.a[1] is -inf: write a number, or leave it out."),
        ({"a": datetime.date(2026, 1, 31)}, "p.a: write '2026-01-31' in quotes, as a text."),
        ({"a": "x\udc80"}, "p.a: 'x\\udc80' has half a character in it, or was not UTF-8: write i"),
        ({"x\udc80": 1}, "p: 'x\\udc80' has half a character in it"),
        (CYCLE, "p.y[0] has itself in it: write it out instead of the alias."),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_is_wrong_is_said_with_its_place(value: Any, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        require_json(value, "p")
    assert str(caught.value).startswith(sentence)


def test_one_value_may_stand_in_several_places() -> None:
    names = ["sku"]
    require_json({"fields": names, "rename": {"a": names, "b": names}}, "p")
