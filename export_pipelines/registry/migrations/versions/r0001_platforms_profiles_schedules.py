"""Platforms, profiles and schedules."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "registry_platforms",
        *_named(),
        sa.Column("platform_type", sa.String(100), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("secret_names", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.Text(), nullable=False),
        sa.Column("auto_upload", sa.Boolean(), nullable=False),
        *_unique("registry_platforms"),
    )
    op.create_table(
        "registry_profiles",
        *_named(),
        sa.Column("format", sa.String(100), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("platforms", sa.JSON(none_as_null=True), nullable=True),
        *_unique("registry_profiles"),
    )
    op.create_table(
        "registry_schedules",
        *_named(),
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("cron_expression", sa.String(100), nullable=False),
        sa.Column("timezone", sa.String(100), nullable=False),
        sa.Column("profile", sa.String(100), nullable=False),
        sa.Column("platforms", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("alert_after_minutes", sa.Integer(), nullable=False),
        *_unique("registry_schedules"),
        sa.UniqueConstraint("key", name="uq_registry_schedules_key"),
    )
    state = op.create_table(
        "registry_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("schedules_revision", sa.Integer(), nullable=False),
        sa.Column("key_check", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_registry_state"),
    )
    op.bulk_insert(state, [{"id": 1, "schedules_revision": 0, "key_check": ""}])


def _named() -> list["sa.Column[str] | sa.Column[bool]"]:
    return [
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("organization", sa.String(100), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.String(24), nullable=False),
        sa.Column("updated_at", sa.String(24), nullable=False),
    ]


def _unique(table: str) -> list[sa.Constraint]:
    return [
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("organization", "name", name=f"uq_{table}_organization_name"),
    ]
