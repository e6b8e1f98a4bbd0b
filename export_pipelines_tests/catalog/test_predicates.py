"""One law: both databases choose the rows that a plain reading of the matchers chooses."""

import operator
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table

from export_pipelines.artifacts import Column, FieldType
from export_pipelines.catalog.database import arrow_schema, backend_of, bulk_insert, create_schema
from export_pipelines.catalog.entities import Field, entity
from export_pipelines.catalog.filters import parse_filters
from export_pipelines.catalog.keys import format_key
from export_pipelines.catalog.matchers import MATCHERS
from export_pipelines.catalog.models.types import compact_json
from export_pipelines.catalog.predicates import literal_pattern, normal_pattern
from export_pipelines.catalog.reading import Snapshot, open_snapshots
from export_pipelines.catalog.select import build_select, compile_select
from export_pipelines_tests.servers.postgres import PostgresServer

BACKENDS = ("sqlite", "postgresql")
INJECTIONS = [
    "x'; DROP TABLE products; --",
    'x"; DROP TABLE products; --',
    "zqx OR 1=1",
    "%s zqx %(name)s %%",
    "zqx ? $1 :name",
    "zqx\\'); SELECT pg_sleep(9); --",
    "zqx\n/* */ -- ",
    "zqx' UNION ALL SELECT * FROM customers --",
    "zqx名前🙂",
]
UTC = timezone.utc
KEY = Column("id", FieldType.STRING)

TEXTS = [
    *("", " ", "a", "A", "ab", "AB", "aB", "b", "z", "Z", "%", "_", "a%b", "a_b", "\\", "a\\b"),
    *("\\%", "'", '"', "''", "\u0130", "\u0131", "i", "I", "ß", "ẞ", "SS", "é", "É", "e\u0301"),
    *("🙂", "a🙂", "名前", "名", "\ufffd", "\U00010000", "\uff5e", "\t", "a\nb", "a,b", "null"),
    *("0", "1", "true"),
]
ALPHABET = "aAbB%_\\'éİı🙂名 "
INTEGERS = [0, 1, 2, 3, 5, 10, 99, 100, 1234, -1, -5, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
NUMBERS = [0.0, -0.0, 0.1, 0.1 + 0.2, 0.3, 1.0, 1.5, 2.0, -2.25, 1e-7, 1e300, 5e-324, 2.0**53]
TIMES = [
    datetime(2026, 3, 29, 0, 59, 59, 999_000, UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 30, 0, 1_000, UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1900, 1, 1, 0, 0, 0, 1_000, UTC),
    datetime(2999, 12, 31, 23, 59, 59, 999_000, UTC),
]
SCALARS = [None, True, False, 0, 1, 1.0, -0.0, 1.5, 2**53 + 1, "", "a", "A", "1", "true", "🙂", '"']
NAMES = ["a", "b", "é", 'k"q', "x y", "", "$.a", "0"]
CURRENCIES = ["EUR", "JPY", "KWD", "USD", "XYZ", None]
DIGITS = {"JPY": 0, "KWD": 3}

ROWS = {
    "customer_groups": 6,
    "customers": 50,
    "shipping_categories": 5,
    "skus": 50,
    "prices": 80,
    "price_tiers": 100,
    "orders": 70,
    "line_items": 100,
    "sku_lists": 8,
    "sku_list_items": 60,
    "suppliers": 8,
    "products": 50,
}
"""Rows of each table, parents before children."""

ONE = {
    "customers": {"customer_group": ("customer_groups", "customer_group_id")},
    "skus": {"shipping_category": ("shipping_categories", "shipping_category_id")},
    "prices": {"sku": ("skus", "sku_id")},
    "price_tiers": {"price": ("prices", "price_id")},
    "orders": {"customer": ("customers", "customer_id")},
    "line_items": {"order": ("orders", "order_id"), "sku": ("skus", "sku_id")},
    "sku_list_items": {"sku_list": ("sku_lists", "sku_list_id"), "sku": ("skus", "sku_id")},
    "products": {"supplier": ("suppliers", "supplier_id")},
}
MANY = {
    "customer_groups": {"customers": ("customers", "customer_group_id")},
    "customers": {"orders": ("orders", "customer_id")},
    "shipping_categories": {"skus": ("skus", "shipping_category_id")},
    "skus": {"prices": ("prices", "sku_id"), "sku_list_items": ("sku_list_items", "sku_id")},
    "prices": {"price_tiers": ("price_tiers", "price_id")},
    "orders": {"line_items": ("line_items", "order_id")},
    "sku_lists": {"sku_list_items": ("sku_list_items", "sku_list_id")},
    "suppliers": {"products": ("products", "supplier_id")},
}
THROUGH = {
    "skus": {"sku_lists": ("sku_list_items", "sku_id", "sku_list_id", "sku_lists")},
    "sku_lists": {"skus": ("sku_list_items", "sku_list_id", "sku_id", "skus")},
}

_ORDERED = ("string", "integer", "number", "datetime")
_PLAIN = (*_ORDERED, "boolean")
_ANY = (*_PLAIN, "json", "list")
SPECIFIED = {
    **dict.fromkeys(["eq", "eq_or_null", "not_eq", "not_eq_or_null", "not_eq_all"], _PLAIN),
    **dict.fromkeys(["in", "in_or_null", "not_in", "not_in_or_null"], _PLAIN),
    **dict.fromkeys(["matches", "matches_any", "matches_all"], ("string",)),
    **dict.fromkeys(["does_not_match_any", "does_not_match_all"], ("string",)),
    **dict.fromkeys(["does_not_match", "start", "not_start", "end", "not_end"], ("string",)),
    **dict.fromkeys(["start_any", "start_all", "not_start_any", "not_start_all"], ("string",)),
    **dict.fromkeys(["end_any", "end_all", "not_end_any", "not_end_all"], ("string",)),
    **dict.fromkeys(["cont", "not_cont", "cont_any", "cont_all", "not_cont_all"], ("string",)),
    **dict.fromkeys(["lt", "lteq", "gt", "gteq", "lt_any", "lteq_any", "gt_any"], _ORDERED),
    **dict.fromkeys(["gteq_any", "lt_all", "lteq_all", "gt_all", "gteq_all"], _ORDERED),
    **dict.fromkeys(["present", "blank", "null", "not_null"], _ANY),
    **dict.fromkeys(["true", "false"], ("boolean",)),
    "jcont": ("json", "list"),
}
"""What each matcher can be asked of."""


def folded(text: str) -> str:
    return re.sub("[A-Z]", lambda found: chr(ord(found[0]) + 32), text)


def like(text: str, pattern: str) -> bool:
    wanted = ""
    places = iter(pattern)
    for place in places:
        if place == "\\":
            wanted += re.escape(folded(next(places, "\\")))
        else:
            wanted += {"%": ".*", "_": "."}.get(place) or re.escape(folded(place))
    return re.fullmatch(wanted, folded(text), re.DOTALL) is not None


def contains(document: Any, wanted: Any) -> bool:
    """As the manual of Postgres defines it."""
    if isinstance(wanted, dict):
        return isinstance(document, dict) and all(
            name in document and contains(document[name], value) for name, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(document, list) and all(
            any(contains(member, each) for member in document) for each in wanted
        )
    if isinstance(wanted, bool) or isinstance(document, bool):
        return document is wanted
    return not isinstance(document, (dict, list)) and bool(document == wanted)


COMPARED: Mapping[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "not_eq": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "matches": like,
    "does_not_match": lambda text, pattern: not like(text, pattern),
    "start": lambda text, wanted: folded(text).startswith(folded(wanted)),
    "not_start": lambda text, wanted: not folded(text).startswith(folded(wanted)),
    "end": lambda text, wanted: folded(text).endswith(folded(wanted)),
    "not_end": lambda text, wanted: not folded(text).endswith(folded(wanted)),
    "cont": lambda text, wanted: folded(wanted) in folded(text),
    "not_cont": lambda text, wanted: folded(wanted) not in folded(text),
    "jcont": contains,
}


def holds(matcher: str, found: Any, wanted: Any) -> bool:
    """Whether an attribute matches, as the list of matchers says."""
    if matcher in ("null", "not_null"):
        return ((found is None) == (matcher == "null")) is wanted
    if matcher in ("blank", "present"):
        blank = found is None or (isinstance(found, (str, list, dict)) and not found)
        return (blank == (matcher == "blank")) is wanted
    if found is None:
        return matcher.endswith("_or_null")
    matcher = matcher.removesuffix("_or_null")
    if matcher in ("true", "false"):
        return (found is (matcher == "true")) is wanted
    if matcher in ("in", "not_in"):
        return (found in wanted) == (matcher == "in")
    name, _, which = matcher.rpartition("_")
    if which == "any":
        return any(COMPARED[name](found, each) for each in wanted)
    if which == "all":
        return all(COMPARED[name](found, each) for each in wanted)
    return bool(COMPARED[matcher](found, wanted))


class World:
    """Random rows, in Python and in both databases."""

    def __init__(self, seed: int) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.snapshots: dict[str, Snapshot] = {}
        rng = random.Random(seed)
        for place, (name, count) in enumerate(ROWS.items()):
            table = entity(name).table
            keys = [format_key(place, rng.getrandbits(70)) for _ in range(count)]
            keys.sort()
            self.rows[name] = [self._row(rng, table, key, at) for at, key in enumerate(keys)]
        self._by_key = {row["id"]: row for rows in self.rows.values() for row in rows}

    def write(self, url: str) -> None:
        create_schema(url)
        bulk_insert(url, {entity(name).table: self._arrow(name) for name in ROWS})

    def found(self, name: str, row: Mapping[str, Any] | None, path: Sequence[str]) -> list[Any]:
        """Return an attribute's value in each record that a path leads to."""
        step, *rest = path
        if not rest:
            return [None if row is None else value(row, entity(name).fields[step])]
        key = row["id"] if row else None
        if step in ONE.get(name, {}):
            target, reference = ONE[name][step]
            return self.found(target, self._by_key.get(row[reference] if row else None), rest)
        if step in MANY.get(name, {}):
            target, reference = MANY[name][step]
            related = [each for each in self.rows[target] if key and each[reference] == key]
        else:
            between, mine, other, target = THROUGH[name][step]
            links = [each for each in self.rows[between] if key and each[mine] == key]
            related = [self._by_key[each[other]] for each in links if each[other]]
        return [found for each in related for found in self.found(target, each, rest)]

    def expected(self, name: str, filters: Sequence["Filter"]) -> list[str]:
        return [
            row["id"]
            for row in self.rows[name]
            if all(
                any(
                    holds(each.matcher, found, each.wanted)
                    for path in each.paths
                    for found in self.found(name, row, path)
                )
                for each in filters
            )
        ]

    def values(self, name: str, field: Field) -> list[Any]:
        return [each for row in self.rows[name] if (each := value(row, field)) is not None]

    def _row(self, rng: random.Random, table: Table, key: str, at: int) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for column in table.columns:
            if column.primary_key:
                row[column.name] = key
            elif column.foreign_keys:
                (target,) = column.foreign_keys
                keys = [each["id"] for each in self.rows.get(target.column.table.name, [])]
                empty = not keys or (column.nullable and rng.random() < 0.25)
                row[column.name] = None if empty else rng.choice(keys)
            elif column.nullable and (rng.random() < 0.25 or "foreign_key" in column.info):
                row[column.name] = None
            else:
                field = entity(table.name).fields[column.name]
                row[column.name] = random_value(rng, field, getattr(column.type, "length", None))
                if column.unique:
                    row[column.name] = f"{row[column.name]}{at}"
        if table.name == "sku_list_items":
            row["sku_code"] = None  # no two of a list may have the same
        return row

    def _arrow(self, name: str) -> pa.Table:
        fields = entity(name).fields
        rows = [
            {
                column: compact_json(found)
                if found is not None and fields[column].type in (FieldType.JSON, FieldType.LIST)
                else found
                for column, found in row.items()
            }
            for row in self.rows[name]
        ]
        return pa.Table.from_pylist(rows, arrow_schema(entity(name).table))


@dataclass(frozen=True)
class Filter:
    """A predicate as a person writes it, and as it is meant."""

    paths: tuple[tuple[str, ...], ...]
    matcher: str
    wanted: Any
    written: Any

    @property
    def key(self) -> str:
        return "_or_".join("_".join(path) for path in self.paths) + f"_{self.matcher}"


def value(row: Mapping[str, Any], field: Field) -> Any:
    if field.derivation is None:
        return row[field.name]
    cents = row[field.derivation.cents]
    digits = DIGITS.get(row[field.derivation.currency], 2)
    return None if cents is None else float(cents) / 10**digits


def random_text(rng: random.Random, length: int | None) -> str:
    text = rng.choice(TEXTS)
    if rng.random() < 0.5:
        text = "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(4)))
    return text[:length]


def random_document(rng: random.Random, depth: int = 3) -> Any:
    if depth == 0 or (depth < 3 and rng.random() < 0.5):
        return rng.choice(SCALARS)
    members = [random_document(rng, depth - 1) for _ in range(rng.randrange(4))]
    if rng.random() < 0.4:
        return members
    return dict(zip((rng.choice(NAMES) for _ in members), members, strict=True))


def random_value(rng: random.Random, field: Field, length: int | None = None) -> Any:
    if field.values:
        return rng.choice(field.values)
    if field.name == "currency_code":
        return rng.choice(CURRENCIES[:-1])
    if field.type is FieldType.STRING:
        return random_text(rng, length)
    if field.type is FieldType.LIST:
        return [random_text(rng, None) for _ in range(rng.randrange(4))]
    if field.type is FieldType.JSON:
        return random_document(rng)
    if field.type is FieldType.DATETIME:
        return rng.choice(TIMES) + timedelta(milliseconds=rng.choice([0, 0, 1, 1000, 3_600_000]))
    pools: Mapping[FieldType, list[Any]] = {
        FieldType.INTEGER: INTEGERS,
        FieldType.NUMBER: NUMBERS,
        FieldType.BOOLEAN: [True, False],
    }
    return rng.choice(pools[field.type])


def part_of(rng: random.Random, text: str, matcher: str) -> str:
    """Return what a text, or one like it, may begin or end with, or a pattern of it."""
    first = rng.randrange(len(text) + 1)
    last = rng.randrange(first, min(len(text), first + 2) + 1)
    part = text[first:last]
    if "start" in matcher:
        part = text[:last]
    if "end" in matcher:
        part = text[first:]
    if "match" in matcher:
        part = rng.choice([part, literal_pattern(part), text, literal_pattern(text)])
        part = rng.choice(["%", ""]) + part + rng.choice(["%", "", "_", "\\"])
    return rng.choice([part, part.upper(), part.lower()]) if rng.random() < 0.5 else part


def part_of_document(rng: random.Random, document: Any) -> Any:
    if isinstance(document, dict):
        return {
            key: part_of_document(rng, each) for key, each in document.items() if rng.random() < 0.6
        }
    if isinstance(document, list):
        kept = [each for each in document if rng.random() < 0.6]
        rng.shuffle(kept)
        return [part_of_document(rng, each) for each in kept * rng.choice([1, 1, 2])]
    return document if rng.random() < 0.9 else rng.choice(SCALARS)


def wanted_value(rng: random.Random, world: World, name: str, field: Field, matcher: str) -> Any:
    found = world.values(name, field)
    wanted = rng.choice(found) if found and rng.random() < 0.8 else random_value(rng, field)
    if matcher == "jcont":
        return part_of_document(rng, wanted)
    if any(word in matcher for word in ("match", "start", "end", "cont")):
        return part_of(rng, str(wanted), matcher)
    return wanted


def spelled(rng: random.Random, wanted: Any) -> Any:
    """Return a value in one of the ways in which a person may write it."""
    if isinstance(wanted, list):
        return [spelled(rng, each) for each in wanted]
    if isinstance(wanted, bool):
        return rng.choice([wanted, str(wanted), str(wanted).lower(), int(wanted), str(int(wanted))])
    if isinstance(wanted, datetime):
        naive = wanted.replace(tzinfo=None).isoformat(timespec="milliseconds")
        shifted = wanted.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
        return rng.choice([wanted, naive, f"{naive}Z", f"{naive}z", shifted.isoformat()])
    if isinstance(wanted, float):
        return rng.choice([wanted, repr(wanted)])
    return rng.choice([wanted, str(wanted), f" {wanted}"]) if isinstance(wanted, int) else wanted


def random_filter(
    rng: random.Random, world: World, paths: Sequence[tuple[str, ...]], ends: str, matcher: str
) -> Filter:
    field = entity(ends).fields[paths[0][-1]]
    how = MATCHERS[matcher]
    if how.takes == "boolean":
        wanted: Any = rng.random() < 0.7
        return Filter(tuple(paths), matcher, wanted, spelled(rng, wanted))
    if how.takes == "list":
        count = rng.choice([1, 2, 2, 3])
        wanted = [wanted_value(rng, world, ends, field, matcher) for _ in range(count)]
        written = spelled(rng, wanted)
        commas = all(isinstance(each, str) and "," not in each for each in written)
        if commas and rng.random() < 0.5:
            written = ",".join(written)
        return Filter(tuple(paths), matcher, wanted, written)
    wanted = wanted_value(rng, world, ends, field, matcher)
    if how.takes == "document":
        written = compact_json(wanted) if rng.random() < 0.3 else wanted
        return Filter(tuple(paths), matcher, wanted, written)
    return Filter(tuple(paths), matcher, wanted, spelled(rng, wanted))


def random_path(rng: random.Random, name: str) -> tuple[tuple[str, ...], str]:
    """Return an attribute, perhaps of a related resource, and the resource type it is of."""
    relations: list[str] = []
    while len(relations) < 2 and rng.random() < 0.5:
        steps = {**ONE.get(name, {}), **MANY.get(name, {}), **THROUGH.get(name, {})}
        if not steps:
            break
        relation = rng.choice([*steps])
        relations.append(relation)
        target = steps[relation]
        name = target[3] if len(target) == 4 else target[0]
    fields = [field.name for field in entity(name).fields.values() if field.filterable]
    return (*relations, rng.choice(fields)), name


def is_other_attribute(name: str, path: Sequence[str]) -> bool:
    """Whether a path reads like an attribute before its end, which wins over a relation."""
    known = entity(name)
    for place, step in enumerate(path[:-1]):
        if "_".join(path[place:]) in known.fields:
            return True
        known = known.related(step)
    return False


def random_predicate(rng: random.Random, world: World, name: str) -> Filter:
    found = [random_path(rng, name) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    paths = [(path, ends) for path, ends in found if not is_other_attribute(name, path)]
    if not paths:
        paths = [(("id",), name)]
    _, ends = paths[0]
    kinds = {entity(ends).fields[path[-1]].type.value for path, ends in paths}
    usable = [each for each, types in SPECIFIED.items() if kinds <= {*types}]
    limited = any(entity(ends).fields[path[-1]].values for path, ends in paths)
    if len(kinds) > 1 or (len(paths) > 1 and limited):
        # Of different types they take the same values only if these are true and false.
        usable = [each for each in usable if MATCHERS[each].takes == "boolean"]
    return random_filter(rng, world, [path for path, _ in paths], ends, rng.choice(usable))


def matched(snapshot: Snapshot, backend: str, name: str, filters: Mapping[str, Any]) -> list[str]:
    known = entity(name)
    statement = compile_select(build_select(known, ["id"], parse_filters(filters, known)), backend)
    return [key for batch in snapshot.stream(statement, [KEY]) for key in batch[0].to_pylist()]


def assert_law(world: World, name: str, filters: Sequence[Filter]) -> list[str]:
    """Check that both databases choose what Python chooses, and return it."""
    written = {each.key: each.written for each in filters}
    expected = world.expected(name, [each for each in filters if written[each.key] is each.written])
    for backend, snapshot in world.snapshots.items():
        assert matched(snapshot, backend, name, written) == expected, (backend, name, written)
    return expected


@pytest.fixture(scope="module")
def worlds(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[World]]:
    folder = tmp_path_factory.mktemp("worlds")
    found = [World(seed) for seed in (1, 2, 3)]
    urls = []
    for number, world in enumerate(found):
        urls.append(f"sqlite:///{folder / f'{number}.db'}")
        urls.append(postgres.create_database(f"world_{number}"))
        for url in urls[-2:]:
            world.write(url)
    with ExitStack() as stack:
        snapshots = [stack.enter_context(open_snapshots(url))[0] for url in urls]
        for number, world in enumerate(found):
            pair = snapshots[2 * number : 2 * number + 2]
            world.snapshots = dict(zip(BACKENDS, pair, strict=True))
        yield found


@settings(max_examples=400)
@given(rng=st.randoms(use_true_random=False), data=st.data())
def test_databases_choose_what_python_chooses(
    worlds: list[World], rng: random.Random, data: st.DataObject
) -> None:
    world = data.draw(st.sampled_from(worlds), label="world")
    name = data.draw(st.sampled_from([*ROWS]), label="resource type")
    count = data.draw(st.sampled_from([1, 1, 1, 2, 3]), label="filters")
    assert_law(world, name, [random_predicate(rng, world, name) for _ in range(count)])


def test_these_are_the_matchers() -> None:
    assert len(SPECIFIED) == 51
    assert {name: {kind.value for kind in found.types} for name, found in MATCHERS.items()} == {
        name: set(types) for name, types in SPECIFIED.items()
    }


@pytest.mark.parametrize("matcher", [*SPECIFIED])
def test_each_matcher_chooses_some_rows_and_not_others(worlds: list[World], matcher: str) -> None:
    rng = random.Random(matcher)
    for kind in SPECIFIED[matcher]:
        places = [
            (name, field)
            for name in ROWS
            for field in entity(name).stored_fields.values()
            if field.filterable and field.type.value == kind and (field.nullable or kind != "json")
        ]
        partial = 0
        for tries in range(60):
            if tries >= 4 and partial >= 2:
                break
            world = rng.choice(worlds)
            name, field = rng.choice(places)
            wanted = random_filter(rng, world, [(field.name,)], name, matcher)
            partial += 0 < len(assert_law(world, name, [wanted])) < ROWS[name]
        assert partial >= 2, kind


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("price_tiers", ("price", "sku", "name")),
        ("orders", ("customer", "customer_group", "name")),
        ("skus", ("prices", "price_tiers", "name")),
        ("customer_groups", ("customers", "orders", "notes")),
        ("line_items", ("sku", "prices", "currency_code")),
        ("skus", ("sku_lists", "description")),
        ("sku_lists", ("skus", "shipping_category", "name")),
    ],
)
@pytest.mark.parametrize(
    "matcher", ["eq", "not_eq", "not_in_or_null", "cont_all", "not_cont_all", "blank", "null"]
)
def test_relations(worlds: list[World], name: str, path: tuple[str, ...], matcher: str) -> None:
    rng = random.Random(f"{name} {matcher}")
    ends = entity(name)
    for relation in path[:-1]:
        ends = ends.related(relation)
    for world in worlds:
        for _ in range(3):
            assert_law(world, name, [random_filter(rng, world, [path], ends.name, matcher)])


def test_one_related_record_must_match_all_values(worlds: list[World]) -> None:
    apart = together = 0
    for world in worlds:
        for first in "aAb%_":
            for second in "B🙂é名":
                path = ("prices", "price_tiers", "name")
                both = [Filter((path,), "cont_all", [first, second], [first, second])]
                found = {*assert_law(world, "skus", both)}
                each = [Filter((path,), "cont", text, text) for text in (first, second)]
                split = [{*assert_law(world, "skus", [one])} for one in each]
                together += len(found)
                apart += len((split[0] & split[1]) - found)
    assert together
    assert apart


def test_attributes_of_different_types(worlds: list[World]) -> None:
    known = entity("skus")
    for world in worlds:
        for written in ("1", "0", "2"):
            expected = [
                row["id"]
                for row in world.rows["skus"]
                if row["name"] == written
                or row["pieces_per_pack"] == int(written)
                or row["weight"] == float(written)
            ]
            for backend, snapshot in world.snapshots.items():
                key = "name_or_pieces_per_pack_or_weight_eq"
                assert matched(snapshot, backend, known.name, {key: written}) == expected


def test_documents_that_others_wrote(url: str) -> None:
    written = [
        '{"a":1,"a":2}',
        '{"a" : 2.0}',
        '{"\\u0061":2}',
        '{"a":[2]}',
        '{"a":"2"}',
        '{"a":{"a":2}}',
        '{"a":20e-1,"b":"\\u0000"}',
        "2",
        "[2]",
        '"a"',
        "null",
    ]
    row: dict[str, Any] = {"name": "", "created_at": TIMES[0], "updated_at": TIMES[0]}
    rows = [
        {**row, "id": f"{place:02}", "code": str(place), "metadata": text}
        for place, text in enumerate(written)
    ]
    create_schema(url)
    table = entity("skus").table
    bulk_insert(url, {table: pa.Table.from_pylist(rows, arrow_schema(table))})
    cases: list[tuple[Any, list[str]]] = [
        ({"a": 2}, ["00", "01", "02"]),
        ({"a": 1}, []),
        ({}, ["00", "01", "02", "03", "04", "05"]),
        ({"a": [2.0]}, ["03"]),
        ({"a": {"a": 2}}, ["05"]),
        ([2], ["08"]),
        ([], ["08"]),
    ]
    with open_snapshots(url) as (snapshot,):
        for wanted, expected in cases:
            filters = {"metadata_jcont": wanted}
            assert matched(snapshot, backend_of(url), "skus", filters) == expected, wanted


@pytest.mark.parametrize("matcher", ["eq", "in", "not_in", "matches", "start", "cont_any"])
@pytest.mark.parametrize("text", INJECTIONS)
def test_values_are_bound_and_match_only_themselves(
    worlds: list[World], text: str, matcher: str
) -> None:
    known = entity("products")
    given: Any = [text] if MATCHERS[matcher].takes == "list" else text
    predicate = parse_filters({f"name_{matcher}": given, f"slug_{matcher}": given}, known)
    for backend, snapshot in worlds[0].snapshots.items():
        statement = compile_select(build_select(known, ["id"], predicate), backend)
        assert "zqx" not in statement.sql
        assert "DROP" not in statement.sql
        assert len(statement.parameters) == 2
        found = matched(snapshot, backend, "products", {f"name_{matcher}": given})
        assert len(found) == (ROWS["products"] if matcher == "not_in" else 0)
        assert len(matched(snapshot, backend, "products", {})) == ROWS["products"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_documents_are_bound(worlds: list[World], text: str) -> None:
    known = entity("customers")
    predicate = parse_filters({"metadata_jcont": {text: [text]}, "tags_jcont": text}, known)
    for backend, snapshot in worlds[0].snapshots.items():
        statement = compile_select(build_select(known, ["id"], predicate), backend)
        assert "zqx" not in statement.sql
        assert "DROP" not in statement.sql
        assert snapshot.count(statement) == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_numbers_and_times_are_bound_too(backend: str) -> None:
    known = entity("products")
    filters = {
        "price_cents": 987654321,
        "weight_gt": 98765.4321,
        "price_in": [12345.678],
        "created_at": "1987-06-05T04:03:02.987Z",
    }
    chosen = build_select(known, ["id"], parse_filters(filters, known))
    statement = compile_select(chosen, backend)
    assert len(statement.parameters) == 4
    for literal in ("987654321", "98765", "12345", "1987", "987"):
        assert literal not in statement.sql


def test_as_many_conditions_as_are_allowed(worlds: list[World]) -> None:
    everything: list[Mapping[str, Any]] = [
        {"name_or_sku_or_slug_or_ean_cont_any": [f"zqx{number}" for number in range(500)]},
        {"name_not_cont_all": [f"zqx{number}" for number in range(500)], "id_cont": "zqx"},
        {"name_or_sku_or_id_in": [f"zqx{number}" for number in range(10_000)]},
        {"tags_jcont": [f"zqx{number}" for number in range(700)]},
        {"tags_jcont": [[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]},
        {f"{'name_or_' * 240}name_cont": "zqx"},
        {f"{name}_not_eq": "zqx" for name in ("name", "sku", "slug", "ean")} | {"id": "zqx"},
    ]
    for filters in everything:
        for backend, snapshot in worlds[0].snapshots.items():
            assert matched(snapshot, backend, "products", filters) == []


@pytest.mark.parametrize(
    ("pattern", "normal"),
    [("a%_", "a%_"), ("\\%\\_", "\\%\\_"), ("\\a", "a"), ("\\\\", "\\\\"), ("a\\", "a\\\\")],
)
def test_patterns_mean_the_same_everywhere(pattern: str, normal: str) -> None:
    assert normal_pattern(pattern) == normal
    assert normal_pattern(normal) == normal


@given(st.text())
def test_the_pattern_of_a_text_matches_it(text: str) -> None:
    assert like(text, literal_pattern(text))
    assert normal_pattern(literal_pattern(text)) == literal_pattern(text)
