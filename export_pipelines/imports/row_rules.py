"""What is asked of the rows of a file, found out once for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from export_pipelines.catalog.entities import Entity
from export_pipelines.catalog.models.types import SHOP_CURRENCY, SlugOf
from export_pipelines.imports.headers import Target, Use
from export_pipelines.imports.values import Times

CURRENCY = "currency_code"
"""The column of the currency that a row's amounts are in."""


@dataclass(frozen=True)
class Rules:
    """How the rows of a file are checked.

    Attributes:
        entity: what they are.
        targets: what the headers mean.
        times: how times are read.
        currency: that of new rows and of amounts where a file names none.
        file_headers: what the file itself calls a column that a mapping file has renamed.
        may_be_cut: whether it is an Excel file, whose cells do not hold long texts whole.
    """

    entity: Entity
    targets: tuple[Target, ...]
    times: Times
    currency: str
    file_headers: Mapping[str, str] = field(default_factory=dict)
    may_be_cut: bool = False

    def file_header(self, target: Target) -> str:
        """Return what a person sees above a column."""
        return self.file_headers.get(target.header, target.header)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that checked rows have."""
        given = (each.column for each in self.targets if each.use in (Use.FIELD, Use.AMOUNT))
        return tuple(dict.fromkeys(("id", *given, *self.made)))

    @property
    def given(self) -> frozenset[str]:
        """The columns of the table that the file has."""
        return frozenset(each.column for each in self.targets if each.use is Use.FIELD)

    @property
    def made(self) -> Mapping[str, str]:
        """Columns of new rows that are made of other fields, and of which."""
        defaults = self.entity.model.__import_defaults__.items()
        return {name: value.field for name, value in defaults if isinstance(value, SlugOf)}

    @property
    def defaults(self) -> Mapping[str, object]:
        """What new rows get in columns that they say nothing about, besides what is made."""
        return shop_defaults(self.entity, self.currency)

    @property
    def custom_ids(self) -> tuple[str, ...]:
        """The ids of the custom fields that the file has."""
        return tuple(each.custom.id for each in self.targets if each.custom)

    @property
    def assumed_currency(self) -> str:
        """The currency that amounts are read in where a row names none; empty without amounts."""
        amounts = any(each.use is Use.AMOUNT for each in self.targets)
        return self.currency if amounts else ""

    def may_be_unsaid(self, column: str) -> bool:
        """Return whether an empty cell of a field that cannot be empty says nothing about it."""
        return column in {"id", "created_at", "updated_at", *self.defaults, *self.made}


def shop_defaults(entity: Entity, currency: str) -> Mapping[str, object]:
    """Return what new rows get in columns that a file says nothing about."""
    return {
        name: currency if value is SHOP_CURRENCY else value
        for name, value in entity.model.__import_defaults__.items()
        if not isinstance(value, SlugOf)
    }
