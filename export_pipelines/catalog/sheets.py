"""From what was chosen to a sheet: the columns to read, spool and write, and their SQL."""

from collections.abc import Sequence

from export_pipelines.artifacts import (
    Column,
    ExtensionField,
    FieldType,
    Joining,
    Related,
    Sheet,
    Statement,
)
from export_pipelines.catalog.entities import Field
from export_pipelines.catalog.predicates import All
from export_pipelines.catalog.select import (
    Owners,
    build_extension_values,
    build_select,
    compile_select,
)
from export_pipelines.catalog.selection import Chosen, ChosenRelation
from export_pipelines.errors import RequestError, one_of

_KEY = "id"


def build_sheet(
    chosen: Chosen, predicate: All, backend: str, *, nests: bool, skip_blanks: bool = False
) -> Sheet:
    """Return a sheet of what was chosen.

    Args:
        chosen: fields and related resources.
        predicate: which records.
        backend: `sqlite` or `postgresql`, for the SQL.
        nests: whether related resources become objects and arrays; otherwise they become columns
            `relation.attribute`, one level of them, and of a multiple one a row each (C22-C25).
        skip_blanks: whether records have only the members that are not empty.

    Raises:
        RequestError: nothing that was chosen can be a column.
    """
    entity = chosen.entity
    layout = _Layout(Owners(entity, predicate), backend, nests=nests)
    columns = layout.columns(chosen)
    if not layout.stored:
        deeper = one_of(levels_left_out(chosen))
        raise RequestError(
            f"fields: columns hold one level of what is related to {entity.name}, so {deeper} "
            "cannot be exported alone: add other fields, or export as JSON."
        )
    if layout.related:
        layout.join(_KEY)
    read = layout.read
    names = [column.name for column in read]
    return Sheet(
        entity.name,
        columns,
        read,
        layout.stored,
        compile_select(build_select(entity, names, predicate), backend),
        _KEY if layout.related else "",
        tuple(layout.related),
        skip_blanks,
    )


def levels_left_out(chosen: Chosen) -> tuple[str, ...]:
    """Return the related resources that only nested formats can hold: those of included ones."""
    return tuple(
        f"{member.relation.name}.{inner.relation.name}"
        for member in chosen.members
        if isinstance(member, ChosenRelation)
        for inner in member.chosen.members
        if isinstance(inner, ChosenRelation)
    )


class _Layout:
    """The columns of one SELECT, while they are gathered."""

    def __init__(self, owners: Owners, backend: str, *, nests: bool) -> None:
        self.related: list[Related] = []
        self._owners = owners
        self._backend = backend
        self._nests = nests
        self._kept: dict[str, Column] = {}
        self._joined: dict[str, Column] = {}
        self._added: list[Column] = []
        self._custom: list[ExtensionField] = []

    @property
    def read(self) -> tuple[Column, ...]:
        """The columns to read."""
        return tuple({**self._kept, **self._joined}.values())

    @property
    def stored(self) -> tuple[Column, ...]:
        """The columns to spool: those that are read to be written, and those that are joined."""
        return (*self._kept.values(), *self._added)

    def join(self, name: str) -> str:
        """Read a key, to join by it."""
        self._joined.setdefault(name, Column(name, FieldType.STRING))
        return name

    def columns(self, chosen: Chosen) -> tuple[Column, ...]:
        """Return the columns to write, after adding what they need."""
        found = self._columns(chosen, ())
        if self._custom:
            self._add_custom_fields()
        return found

    def _columns(self, chosen: Chosen, path: tuple[str, ...]) -> tuple[Column, ...]:
        prefix = "".join(f"{name}." for name in path)
        found: list[Column] = []
        for member in chosen.members:
            if isinstance(member, Field):
                header = member.name if self._nests else prefix + member.name
                found.append(self._column(member.below(prefix), header))
            elif self._nests:
                found.append(self._nested(member, path))
            elif not path:
                found += self._flat(member)
        return tuple(found)

    def _column(self, field: Field, header: str) -> Column:
        if field.extension:
            self._custom.append(field.extension)
            return Column(header, field.type)
        kinds = (FieldType.INTEGER, FieldType.STRING, FieldType.INTEGER)
        types = kinds if field.derivation else (field.type,)
        for name, kind in zip(field.stored, types, strict=False):
            self._kept.setdefault(name, Column(name, kind))
        source = "" if field.derivation or field.source == header else field.source
        return Column(header, field.type, field.derivation, source)

    def _nested(self, member: ChosenRelation, path: tuple[str, ...]) -> Column:
        relation = member.relation
        name = ".".join((*path, relation.name))
        if relation.multiple:
            inner, columns = self._read_related(member, path)
            stored = Column(name, FieldType.ARRAY, columns=inner.stored)
            self._added.append(stored)
            reference, owner = self._link(member, path)
            self.related.append(
                Related(
                    name,
                    Joining.NESTED,
                    owner,
                    inner.join(reference),
                    inner.join(_KEY),
                    inner.read,
                    inner.stored,
                    inner.statement(self._owners.related(path, relation)),
                    tuple(inner.related),
                )
            )
            source = "" if name == relation.name else name
            return Column(relation.name, FieldType.ARRAY, None, source, columns)
        present = f"{name}.{_KEY}"
        self._kept.setdefault(present, Column(present, FieldType.STRING))
        columns = self._columns(member.chosen, (*path, relation.name))
        return Column(relation.name, FieldType.OBJECT, None, present, columns)

    def _flat(self, member: ChosenRelation) -> tuple[Column, ...]:
        relation = member.relation
        if not relation.multiple:
            return self._columns(member.chosen, (relation.name,))
        inner, columns = self._read_related(member, ())
        if not columns:
            return ()
        prefix = f"{relation.name}."
        stored = tuple(Column(prefix + each.name, each.type) for each in inner.stored)
        self._added += stored
        reference, owner = self._link(member, ())
        self.related.append(
            Related(
                relation.name,
                Joining.LINES,
                owner,
                inner.join(reference),
                inner.join(_KEY),
                inner.read,
                stored,
                inner.statement(self._owners.related((), relation)),
            )
        )
        fields = [each for each in member.chosen.members if isinstance(each, Field)]
        return tuple(
            Column(prefix + each.name, each.type, each.below(prefix).derivation) for each in fields
        )

    def _read_related(
        self, member: ChosenRelation, path: Sequence[str]
    ) -> "tuple[_Layout, tuple[Column, ...]]":
        owners = self._owners.related(path, member.relation)
        inner = _Layout(owners, self._backend, nests=self._nests)
        if self._nests:
            return inner, inner.columns(member.chosen)
        own = tuple(each for each in member.chosen.members if isinstance(each, Field))
        return inner, inner.columns(Chosen(member.chosen.entity, own))

    def _link(self, member: ChosenRelation, path: Sequence[str]) -> tuple[str, str]:
        """Return the related records' column that refers to their owner, and the owner's column."""
        (step,) = member.relation.steps
        return step.remote, self.join("".join(f"{name}." for name in path) + step.local)

    def statement(self, owners: Owners) -> Statement:
        """Return the SQL that reads the columns of related records."""
        names = [column.name for column in self.read]
        return compile_select(owners.select(names), self._backend)

    def _add_custom_fields(self) -> None:
        stored = tuple(Column(field.header, FieldType.STRING) for field in self._custom)
        self._added += stored
        names = ("product_id", "field_id", "value")
        ids = [field.id for field in self._custom]
        self.related.append(
            Related(
                "template",
                Joining.PIVOTED,
                self.join(_KEY),
                names[0],
                names[1],
                tuple(Column(name, FieldType.STRING) for name in names),
                stored,
                compile_select(build_extension_values(self._owners, ids), self._backend),
                headers=tuple((field.id, field.header) for field in self._custom),
            )
        )
