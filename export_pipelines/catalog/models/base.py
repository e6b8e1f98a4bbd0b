"""The declarative base and the columns that many tables have in common."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Double,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from export_pipelines.catalog.keys import new_key
from export_pipelines.catalog.models.types import (
    REFERENCES,
    TIMESTAMPS,
    Json,
    Key,
    StringList,
    UtcDateTime,
)

Code = Annotated[str, mapped_column(String(255), index=True)]
"""A short text that people look rows up by."""

UniqueCode = Annotated[str, mapped_column(String(255), index=True, unique=True)]
"""A short text that no two rows share."""

Moment = Annotated[datetime, mapped_column(UtcDateTime, index=True)]
"""A date that people select ranges of."""

LongText = Annotated[str, mapped_column(Text)]
Url = Annotated[str, mapped_column(String(2048))]
Currency = Annotated[str, mapped_column(String(3))]
Country = Annotated[str, mapped_column(String(2))]


class Base(DeclarativeBase):
    """Every table of the catalogue.

    Attributes:
        __includes__: the related resources that can be exported with a row, with dots for levels.
        __date_field__: the time that a range of dates is about.
        __always__: filters that every export of the table has.
        __ignores_skip_blanks__: whether `skip_blanks` is ignored, not refused, where a format has
            the same columns for all rows (row X13).
        __import_defaults__: what fields that cannot be empty get in a new row if an imported file
            says nothing: a value, `SlugOf` another field, or `SHOP_CURRENCY`.
        __import_aliases__: further headers of fields in imported files.
    """

    __includes__: ClassVar[tuple[str, ...]] = ()
    __date_field__: ClassVar[str] = "created_at"
    __always__: ClassVar[Mapping[str, Any]] = {}
    __ignores_skip_blanks__: ClassVar[bool] = False
    __import_defaults__: ClassVar[Mapping[str, Any]] = {}
    __import_aliases__: ClassVar[Mapping[str, str]] = {}

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: String(255),
        int: BigInteger,
        float: Double,
        bool: Boolean(create_constraint=False),
        datetime: UtcDateTime,
        list[str]: StringList,
        dict[str, Any]: Json,
        list[dict[str, Any]]: Json,
    }

    def __init_subclass__(cls, **options: Any) -> None:
        """Add the checks of `choice` columns, which need the column's name."""
        super().__init_subclass__(**options)
        table = getattr(cls, "__table__", None)
        if isinstance(table, Table):
            for column in table.columns:
                if "values" in column.info:
                    table.append_constraint(
                        CheckConstraint(column.in_(column.info["values"]), name=column.name)
                    )


class Identified:
    """A row with a UUIDv7 primary key, its first column."""

    id: Mapped[str] = mapped_column(Key, primary_key=True, default=new_key, sort_order=-1)


class Referenced:
    """A row that knows what another system calls it, and carries free metadata."""

    reference: Mapped[str | None] = mapped_column(String(255), index=True, sort_order=REFERENCES)
    reference_origin: Mapped[str | None] = mapped_column(String(255), sort_order=REFERENCES + 1)
    metadata_: Mapped[dict[str, Any] | None] = mapped_column(
        "metadata", Json, sort_order=REFERENCES + 2
    )


class Timestamped:
    """A row that knows when it was made and last changed; its last columns."""

    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True, sort_order=TIMESTAMPS)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True, sort_order=TIMESTAMPS + 1)


class Resource(Identified, Referenced, Timestamped, Base):
    """A row that can be exported as a resource of its own."""

    __abstract__ = True
