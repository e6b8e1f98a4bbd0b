"""The tables of the registry. A change here needs a revision in `migrations`.

Times are texts, ISO 8601 in UTC. Names are unique within an organization, and do not change.
"""

from typing import Any, ClassVar

from sqlalchemy import JSON, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_NAMING = {
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}
NAME_CHARACTERS = 100


class Base(DeclarativeBase):
    """All tables of the registry."""

    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict[str, Any]: JSON,
        list[str]: JSON(none_as_null=True),
    }


class _Named:
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    organization: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    name: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    is_active: Mapped[bool]
    created_at: Mapped[str] = mapped_column(String(24))
    updated_at: Mapped[str] = mapped_column(String(24))


class PlatformRow(_Named, Base):
    """A remote destination (P24-P29)."""

    __tablename__ = "registry_platforms"
    __table_args__ = (UniqueConstraint("organization", "name"),)

    platform_type: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    fields: Mapped[dict[str, Any]]
    """Its fields but for secrets; `{env: NAME}` where a variable is read when it is opened."""
    secret_names: Mapped[list[str]]
    """The fields that are encrypted in `secrets`, in order."""
    variables: Mapped[dict[str, Any]]
    """The variables that fields came from when a file was applied, by field."""
    secrets: Mapped[str] = mapped_column(Text)
    """An encrypted JSON object of secret fields; empty without any."""
    auto_upload: Mapped[bool]


class ProfileRow(_Named, Base):
    """A saved request (F04)."""

    __tablename__ = "registry_profiles"
    __table_args__ = (UniqueConstraint("organization", "name"),)

    format: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    request: Mapped[dict[str, Any]]
    """The run config of its export, but for `platforms`."""
    platforms: Mapped[list[str] | None]
    """Names; None for all that upload automatically."""


class ScheduleRow(_Named, Base):
    """A recurring export (P30-P36)."""

    __tablename__ = "registry_schedules"
    __table_args__ = (UniqueConstraint("organization", "name"), UniqueConstraint("key"))

    key: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    """Its name in Dagster."""
    cron_expression: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    timezone: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    profile: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    platforms: Mapped[list[str] | None]
    """Names; None for those of the profile."""
    alert_after_minutes: Mapped[int]


class StateRow(Base):
    """One row about the registry itself."""

    __tablename__ = "registry_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    schedules_revision: Mapped[int]
    """Counts the changes that Dagster's definitions of schedules have to follow."""
    key_check: Mapped[str] = mapped_column(Text)
    """A known text, encrypted with the key of the secrets; empty until there is a secret."""
