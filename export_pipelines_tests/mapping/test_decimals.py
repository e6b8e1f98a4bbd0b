from decimal import Decimal, localcontext

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from export_pipelines_tests.mapping.frames import cast, refused

FACTORS = st.decimals(
    min_value="0.000001", max_value=10**9, places=6, allow_nan=False
) | st.sampled_from([Decimal("0.001"), Decimal(1), Decimal(1000), Decimal("1E+17")])


@pytest.mark.parametrize(
    ("number", "text", "expected"),
    [
        ({}, "1.50", "1.5"),
        ({}, "+007", "7"),
        ({}, "-0.00", "0"),
        ({}, ".5", "0.5"),
        ({}, "1.5e-3", "0.0015"),
        ({}, "12E2", "1200"),
        ({}, " 12\u00a0", "12"),
        (
            {},
            "0.1234567890123456789012345678901234567890",
            "0.123456789012345678901234567890123456789",
        ),
        ({"decimal_mark": ",", "group_mark": "."}, "1.234,5", "1234.5"),
        ({"decimal_mark": ",", "group_mark": "."}, "1234,5", "1234.5"),
        ({"decimal_mark": ",", "multiply": "1000"}, "0,1", "100"),
        ({"decimal_mark": ",", "group_mark": " "}, "1\u202f234 567,5", "1234567.5"),
        ({"group_mark": "'"}, "12'345.60", "12345.6"),
        ({"multiply": "0.01"}, "1999", "19.99"),
        ({"multiply": "453.59237"}, "2.5", "1133.980925"),
        ({"multiply": "123456789012345678"}, "9" * 20, str((10**20 - 1) * 123456789012345678)),
    ],
)
def test_numbers_become_plain_ones(number: dict[str, str], text: str, expected: str) -> None:
    assert cast({"number": number}, [text]) == [expected]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ({"group_mark": ","}, "1,2,3"),
        ({"group_mark": ","}, "1234,567"),
        ({"group_mark": ","}, "1,234,56"),
        ({"group_mark": ","}, ",123"),
        ({}, "1,234"),
        ({"decimal_mark": ","}, "1.5"),
        ({}, "5."),
        ({}, "1.2.3"),
        ({}, "- 1"),
        ({}, "--1"),
        ({}, "1e"),
        ({}, "1e1234"),
        ({}, "NaN"),
        ({}, "inf"),
        ({}, "\u0661"),
        ({}, "12 kg"),
        ({}, "."),
        ({"multiply": "3"}, "1" * 21),
    ],
)
def test_what_does_not_fit_the_marks_is_an_error(number: dict[str, str], text: str) -> None:
    assert refused({"number": number}, [text, "1"]) == [(text, "not_a_number")]


@given(st.lists(st.decimals(-(10**14), 10**14, places=5, allow_nan=False), max_size=5), FACTORS)
@example([Decimal("-0.00001")], Decimal("0.000001"))
def test_casts_are_decimal_arithmetic(values: list[Decimal], factor: Decimal) -> None:
    cells = [f"{value:,f}".translate({ord(","): ".", ord("."): ","}) for value in values]
    number = {"decimal_mark": ",", "group_mark": ".", "multiply": str(factor)}
    with localcontext() as context:
        context.prec = 60
        expected = [value * factor for value in values]
    found = cast({"number": number}, cells)
    assert list(map(Decimal, map(str, found))) == expected
    assert all(is_shortest(str(text)) for text in found)


def is_shortest(text: str) -> bool:
    whole, point, fraction = text.removeprefix("-").partition(".")
    return (
        (whole == "0" or whole[0] != "0") and fraction[-1:] != "0" and bool(fraction or not point)
    )


@given(st.lists(st.text("0123456789.,+-eE \u00a0x", max_size=8), max_size=20))
def test_errors_are_of_exactly_what_is_no_number(cells: list[str]) -> None:
    wrong = [cell for cell in cells if cell.strip() and not is_number(cell.strip())]
    assert [value for value, _ in refused({"number": {"group_mark": ","}}, cells)] == wrong


def is_number(text: str) -> bool:
    """Say it the long way round: as Python does, once the groups are checked and taken out."""
    whole, point, rest = text.partition(".")
    if whole[:1] in ("+", "-"):
        whole = whole[1:]
    if point and not rest[:1].isdigit():
        return False
    if not point:
        whole, _, rest = whole.lower().partition("e")
    groups = whole.split(",")
    if len(groups) > 1 and not (
        1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    ):
        return False
    exponent = text.lower().partition("e")[2].removeprefix("+").removeprefix("-")
    if len(exponent) > 3 or any(blank in text for blank in " \u00a0") or "," in rest:
        return False
    try:
        Decimal(text.replace(",", ""))
    except ArithmeticError:
        return False
    return all(group.isdigit() for group in groups if len(groups) > 1)
