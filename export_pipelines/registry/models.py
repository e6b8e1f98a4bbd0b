"""The tables of the registry. A change here needs a revision in `migrations`.

Times are texts, ISO 8601 in UTC. Names are unique within an organization, and do not change.
"""

from typing import Any, ClassVar

from sqlalchemy import JSON, Index, MetaData, String, Text, UniqueConstraint
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
        list[dict[str, Any]]: JSON,
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


class ApiKeyRow(_Named, Base):
    """Somebody who may use the API; the key itself is not stored."""

    __tablename__ = "registry_api_keys"
    __table_args__ = (UniqueConstraint("organization", "name"), UniqueConstraint("prefix"))

    prefix: Mapped[str] = mapped_column(String(16))
    """The key's first characters, by which people tell it from others."""
    digest: Mapped[str] = mapped_column(String(64))
    """The SHA-256 of the whole key, in hexadecimal digits."""
    scopes: Mapped[list[str]]
    expires_at: Mapped[str | None] = mapped_column(String(24))
    """From when on it is refused; None for never."""
    last_used_at: Mapped[str | None] = mapped_column(String(24))


class WebhookRow(_Named, Base):
    """An address that is told of what becomes of jobs."""

    __tablename__ = "registry_webhooks"
    __table_args__ = (UniqueConstraint("organization", "name"),)

    url: Mapped[str] = mapped_column(Text)
    topics: Mapped[list[str]]
    enabled_at: Mapped[str] = mapped_column(String(24))
    """When it was last enabled: it is told of what happens from then on."""
    secrets: Mapped[str] = mapped_column(Text)
    """An encrypted JSON object: `secret`, by which the receiver verifies signatures.

    For a day after a rotation also `previous`, the one before, and `previous_until`.
    """
    failures: Mapped[int]
    """How many attempts have failed since one succeeded."""
    paused_until: Mapped[str | None] = mapped_column(String(24))
    """Until when nothing is sent there, since it fails again and again."""
    disabled_reason: Mapped[str] = mapped_column(Text)
    """Why it was disabled by itself; empty otherwise."""


class DeliveryRow(Base):
    """An event that a webhook is told of."""

    __tablename__ = "registry_deliveries"
    __table_args__ = (
        UniqueConstraint("webhook_id", "event_id"),
        Index("ix_registry_deliveries_status_next_attempt_at", "status", "next_attempt_at"),
        Index("ix_registry_deliveries_event_id", "event_id"),
        Index("ix_registry_deliveries_ended_at", "ended_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    """Of what was recorded together in the order in which it is sent."""
    organization: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    webhook_id: Mapped[str] = mapped_column(String(36))
    event_id: Mapped[str] = mapped_column(String(200))
    """The same for each attempt and each webhook."""
    topic: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    payload: Mapped[str] = mapped_column(Text)
    """A JSON object."""
    status: Mapped[str] = mapped_column(String(20))
    """`pending`, `delivered` or `failed`."""
    next_attempt_at: Mapped[str] = mapped_column(String(24))
    attempts: Mapped[list[dict[str, Any]]]
    """What each of the latest answered: `at`, `response_code`, `response_message`, `seconds`."""
    attempts_count: Mapped[int]
    created_at: Mapped[str] = mapped_column(String(24))
    ended_at: Mapped[str | None] = mapped_column(String(24))


class SigningKeyRow(Base):
    """A key by which links and sessions are signed."""

    __tablename__ = "registry_signing_keys"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    secrets: Mapped[str] = mapped_column(Text)
    """An encrypted JSON object: `key`."""
    created_at: Mapped[str] = mapped_column(String(24))
    retired_at: Mapped[str | None] = mapped_column(String(24))
    """From when on another one signs; None for that one."""


class IdempotencyRow(Base):
    """A request that was made under a key of the caller's own, so as to be made once."""

    __tablename__ = "registry_idempotency_keys"

    organization: Mapped[str] = mapped_column(String(NAME_CHARACTERS), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    """The SHA-256 of the request, in hexadecimal digits."""
    run_id: Mapped[str] = mapped_column(String(36))
    created_at: Mapped[str] = mapped_column(String(24))


class StateRow(Base):
    """One row about the registry itself."""

    __tablename__ = "registry_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    schedules_revision: Mapped[int]
    """Counts the changes that Dagster's definitions of schedules have to follow."""
    key_check: Mapped[str] = mapped_column(Text)
    """A known text, encrypted with the key of the secrets; empty until there is a secret."""
