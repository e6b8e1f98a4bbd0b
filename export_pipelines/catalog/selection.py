"""What an export takes of each record: fields, related resources and their fields, as one tree."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Union

from export_pipelines.catalog.entities import Entity, Field, FieldRole, Relation
from export_pipelines.errors import RequestError, one_of

_TEMPLATES = "template:*"


@dataclass(frozen=True)
class Skips:
    """What to leave out of records (rows C44-C48, X14).

    Attributes:
        ids: the record's own id.
        rel_ids: ids of related resources: `*_id` fields, and the ids of included resources.
        timestamps: `created_at` and `updated_at`, of included resources too.
        amount_formats: amounts in any form but whole minor units.
    """

    ids: bool = False
    rel_ids: bool = False
    timestamps: bool = False
    amount_formats: bool = False

    def roles(self, *, included: bool) -> frozenset[FieldRole]:
        """Return what fields are left out of a record, or of an included one."""
        keys = self.rel_ids if included else self.ids
        chosen = (
            (keys, FieldRole.KEY),
            (self.rel_ids, FieldRole.FOREIGN_KEY),
            (self.timestamps, FieldRole.TIMESTAMP),
            (self.amount_formats, FieldRole.AMOUNT_FORMAT),
        )
        return frozenset(role for wanted, role in chosen if wanted)


@dataclass(frozen=True)
class Chosen:
    """What is taken of a resource type: its fields and related resources, in order."""

    entity: Entity
    members: tuple[Union[Field, "ChosenRelation"], ...]


@dataclass(frozen=True)
class ChosenRelation:
    """What is taken of related resources."""

    relation: Relation
    chosen: Chosen


@dataclass
class _Node:
    """A resource type while names are gathered; `named` are fields that were asked for by name."""

    entity: Entity
    path: str = ""
    members: dict[str, Union[Field, "_Node"]] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)

    @property
    def has_fields(self) -> bool:
        return any(isinstance(member, Field) for member in self.members.values())

    def below(self, relation: str) -> "_Node":
        """Return the node of a relation, made if need be."""
        found = self.members.get(relation)
        if not isinstance(found, _Node):
            path = f"{self.path}.{relation}" if self.path else relation
            found = self.members[relation] = _Node(self.entity.related(relation), path)
        return found


def choose(
    entity: Entity,
    fields: Sequence[str] = (),
    exclude_fields: Sequence[str] = (),
    includes: Sequence[str] = (),
    skips: Skips = Skips(),
    fixed: Sequence[Field] = (),
) -> Chosen:
    """Return what an export takes of each record, in the order asked for.

    Args:
        entity: the resource type.
        fields: `name`, `relation.name`, `relation.*`, `*`, `template:*`; empty for all its own.
        exclude_fields: the same, to leave out.
        includes: related resources of which all fields are taken, if `fields` names none of them.
        skips: what else to leave out, unless `fields` names it.
        fixed: fixed columns; those that `fields` does not name come last.

    Raises:
        RequestError: a field or a relation does not exist or cannot be exported, is named twice
            or both chosen and excluded, or nothing is left.
    """
    root = _Node(entity)
    by_header = {each.name: each for each in fixed}
    for name in fields or ["*"]:
        if name in by_header and not _is_catalogued(entity, name):
            _place(root, by_header[name])
        else:
            _add(root, name)
    for path in includes:
        _include(root, path)
    _check_repeats("fields", fields)
    _check_repeats("includes", includes)
    for name in exclude_fields:
        _exclude(root, name)
    for each in fixed:
        _place(root, each)
    chosen = _frozen(root, skips)
    if chosen is None or all(member in fixed for member in chosen.members):
        raise _nothing_left(entity, fields, fixed)
    return chosen


def _is_catalogued(entity: Entity, name: str) -> bool:
    """Return whether a name in `fields` is about the catalogue, whatever columns are fixed."""
    related = name.rpartition(".")[0] in entity.includes
    return related or name in entity.fields or name in ("*", _TEMPLATES)


def _place(root: _Node, fixed: Field) -> None:
    """Add a fixed column, unless it has its place already."""
    # By another name than its own, which may be that of a field that was renamed.
    root.members.setdefault(f"fixed_columns.{fixed.name}", fixed)


def _nothing_left(entity: Entity, fields: Sequence[str], fixed: Sequence[Field]) -> RequestError:
    if fields and {*fields} <= {each.name for each in fixed}:
        return RequestError(
            f"fields names only fixed columns: add at least one field of {entity.name}."
        )
    return RequestError(
        f"exclude_fields and the skip options leave no field of {entity.name} to export: "
        "exclude fewer."
    )


def _add(root: _Node, name: str) -> None:
    node, found = _resolve(root, name, "fields")
    for each in found:
        node.members.setdefault(each.name, each)
    if not name.endswith("*"):
        node.named.add(found[0].name)


def _include(root: _Node, path: str) -> None:
    root.entity.included(path, "includes")
    node = root
    for relation in path.split("."):
        node = node.below(relation)
        if not node.has_fields:
            node.members = {**node.entity.fields, **node.members}


def _exclude(root: _Node, name: str) -> None:
    node, found = _resolve(root, name, "exclude_fields")
    for each in found:
        if each.name in node.named:
            whole = f"{node.path}.{each.name}" if node.path else each.name
            raise RequestError(
                f"{whole} cannot be in both fields and exclude_fields: keep one of the two."
            )
        node.members.pop(each.name, None)


def _check_repeats(purpose: str, names: Sequence[str]) -> None:
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        raise RequestError(f"{purpose} names {one_of(twice)} more than once: name each only once.")


def _resolve(root: _Node, name: str, purpose: str) -> tuple[_Node, list[Field]]:
    """Return the node that a name is about, and the fields it means."""
    *path, last = [name] if name in root.entity.fields else name.split(".")
    if path:
        if path[0] not in root.entity.relations:
            root.entity.field(path[0], purpose)
        root.entity.included(".".join(path), purpose)
    node = root
    for relation in path:
        node = node.below(relation)
    known = node.entity.fields
    if last == "*":
        return node, [*known.values()]
    if last == _TEMPLATES and not path:
        custom = [found for found in known.values() if found.extension]
        if not custom and purpose == "fields":
            raise RequestError(
                f"fields: {root.entity.name} have no custom fields here: leave out {_TEMPLATES}."
            )
        return node, custom
    return node, [node.entity.field(last, purpose)]


def _frozen(node: _Node, skips: Skips) -> Chosen | None:
    """Return what is left of a node; None if it is nothing."""
    left_out = skips.roles(included=bool(node.path))
    members = list(_members(node, left_out, skips))
    return Chosen(node.entity, tuple(members)) if members else None


def _members(
    node: _Node, left_out: Iterable[FieldRole], skips: Skips
) -> Iterator[Field | ChosenRelation]:
    for name, member in node.members.items():
        if isinstance(member, _Node):
            chosen = _frozen(member, skips)
            if chosen:
                yield ChosenRelation(node.entity.relations[name], chosen)
        elif member.role not in left_out or name in node.named:
            yield member
