import os
import textwrap
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from export_pipelines import mapping as package
from export_pipelines.errors import RequestError
from export_pipelines.mapping import mapping_path, read_mapping
from export_pipelines.mapping.files import MAX_BYTES
from export_pipelines_tests.contracts.frames import TEXTS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.yaml"


def refusal(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RequestError) as refused:
        read_mapping(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert len(message) < 600
    return message.removeprefix(str(path))


def test_the_example_of_the_documentation_is_one(path: Path) -> None:
    text = str(package.__doc__)
    path.write_text(
        textwrap.dedent(text[text.index("    resource_type") : text.index("It is YAML")])
    )
    mapping = read_mapping(path)
    assert mapping.path == str(path)
    assert mapping.resource_type == "products"
    assert mapping.read == {
        "format": "csv",
        "encoding": "latin-1",
        "delimiter": ";",
        "sanitized": True,
    }
    assert list(mapping.columns) == [
        *("sku", "name", "status", "description", "tags", "weight", "created_at", "is_active"),
        "category",
    ]
    assert mapping.ignore == ("photos", "size")


def test_most_of_it_may_be_left_out(path: Path) -> None:
    path.write_text("columns: {a: b}")
    mapping = read_mapping(path)
    assert (mapping.resource_type, mapping.read, mapping.ignore) == ("", {}, ())


def test_values_are_texts_as_they_are_written(path: Path) -> None:
    path.write_text(
        "columns:\n  on: no\n"
        "  a: {column: 007, values: {yes: 1.0, 2020-01-01: ~, '~': , 0x1: 'null'}}"
    )
    columns = read_mapping(path).columns
    assert columns["on"].column == "no"
    assert columns["a"].column == "007"
    assert columns["a"].values == {"yes": "1.0", "2020-01-01": None, "~": None, "0x1": "null"}


@given(table=st.dictionaries(TEXTS.map(lambda text: f"x{text}x"), TEXTS, min_size=1, max_size=4))
def test_any_text_comes_through(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(
        yaml.safe_dump({"columns": {"a": {"column": "b", "values": table}}}), encoding="utf-8"
    )
    assert read_mapping(path).columns["a"].values == table


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_files_are_utf_8(path: Path, encoding: str) -> None:
    path.write_text("columns: {a: Größe}", encoding=encoding)
    assert read_mapping(path).columns["a"].column == "Größe"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": Write keys with values, of resource_type, read, columns and ignore."),
        ("- a", ": Write keys with values, of resource_type, read, columns and ignore."),
        ("resource_type: a", ", columns: It must be there."),
        (
            "columns: {a: {column: b, splt: x}}",
            ", columns.a: There is no key 'splt'. Did you mean split? Choose from column, "
            "constant, text, default, split, number, date, boolean, values and otherwise.",
        ),
        ("columns: {a: [b]}", ", columns.a: Write keys with values, of column,"),
        ("columns: {a: }", ", columns.a: Write keys with values, of column,"),
        ("columns: {a: {constant: [b]}}", ", columns.a.constant: Write one text here."),
        ("columns: {a: {column: b, values: {c: [d]}}}", ", columns.a.values.c: Write one text"),
        ("columns: {a: {column: b, number: {x: y}}}", ", columns.a.number: There is no key 'x'."),
        ("columns: {a: {column: b, date: '%q'}}", ", columns.a.date: A date has no '%q': use %Y,"),
        ("columns: {a: b}\nread: {format: xml}", ", read.format: Input should be 'auto', 'csv',"),
        ("columns: {a: b}\nignore: {c: d}", ", ignore: "),
        ("columns:\n  a: b\n  a: c", " cannot be used in line 3: the key 'a' comes twice."),
        ("columns: {~: b}", " cannot be used in line 1: a key must be a text;"),
        ("columns: {[a]: b}", " cannot be used in line 1: a key must be a text;"),
        ("columns: {a: b\nread", " cannot be used in line 2: "),
        ("columns: {a: b}\n---\ncolumns: {a: b}", " cannot be used in line 2: "),
        ("a: &x b\nc: *x", " cannot be used in line 1: anchors and aliases (& and *)"),
        ("a: b\nc: *x", " cannot be used in line 2: anchors and aliases (& and *)"),
        ("a: !!python/name:os.system x", " cannot be used in line 1: tags (!) are not allowed"),
        ("a: !!int 5", " cannot be used in line 1: tags (!) are not allowed"),
        ("a: !x {}", " cannot be used in line 1: tags (!) are not allowed"),
        ("a: !x []", " cannot be used in line 1: tags (!) are not allowed"),
        ('a: "\\0"', " cannot be used in line 1: a text has a character that cannot be stored"),
        ('a: "\\ud800"', " cannot be used in line 1: a text has a character that cannot be"),
        ("a: b\nc: \x01", " cannot be used in line 2: it has a character that cannot be seen."),
        (b"a: \xff", " is no text in UTF-8: save it as UTF-8."),
        ("[" * 5_000, " cannot be used: it is nested too deeply."),
        ("#" * (MAX_BYTES + 1), " is larger than 1,000,000 bytes"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    path: Path, content: str | bytes, message: str
) -> None:
    found = refusal(path, content)
    assert found.startswith(message)


def test_messages_say_nothing_of_how_files_are_read(path: Path) -> None:
    for content in ("columns: {a: {}}", "columns: {a: {column: b, split: ''}}", "columns: {}"):
        message = refusal(path, content)
        assert "pydantic" not in message
        assert "Value error" not in message


def test_a_file_of_the_largest_size_is_read(path: Path) -> None:
    content = "columns: {a: b} #"
    path.write_text(content + "#" * (MAX_BYTES - len(content)))
    assert list(read_mapping(path).columns) == ["a"]


def test_a_file_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"^There is no mapping file .*shops\.yaml\.$"):
        read_mapping(tmp_path / "shops.yaml")
    (tmp_path / "shop.yaml").touch()
    with pytest.raises(RequestError) as refused:
        read_mapping(tmp_path / "shops.yaml")
    assert str(refused.value) == (
        "There is no mapping file 'shops'. Did you mean shop? Choose from shop. "
        f"They are in {tmp_path}."
    )


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for name in ("pipe.yaml", "folder", "nul\0.yaml"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        with pytest.raises(RequestError, match="There is no mapping file"):
            read_mapping(tmp_path / name)


@pytest.mark.parametrize("name", ["shop/a", "./a", "a.yaml", "a.yml", "/shop/a.txt"])
def test_paths_are_taken_as_they_are(name: str) -> None:
    assert mapping_path(name) == Path(name)


def test_names_are_those_of_files_in_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EXPORT_PIPELINES_MAPPINGS", str(tmp_path))
    assert mapping_path("shop") == tmp_path / "shop.yaml"
    assert mapping_path("shop.v2") == tmp_path / "shop.v2.yaml"


def test_a_name_must_not_be_empty() -> None:
    with pytest.raises(RequestError, match="is empty"):
        mapping_path(" ")
