"""API keys, webhooks and their deliveries, signing keys, idempotency keys."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of the job API."""
    op.create_table(
        "registry_api_keys",
        *_named(),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("expires_at", sa.String(24), nullable=True),
        sa.Column("last_used_at", sa.String(24), nullable=True),
        *_unique("registry_api_keys"),
        sa.UniqueConstraint("prefix", name="uq_registry_api_keys_prefix"),
    )
    op.create_table(
        "registry_webhooks",
        *_named(),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("topics", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("enabled_at", sa.String(24), nullable=False),
        sa.Column("secrets", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("paused_until", sa.String(24), nullable=True),
        sa.Column("disabled_reason", sa.Text(), nullable=False),
        *_unique("registry_webhooks"),
    )
    op.create_table(
        "registry_deliveries",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("organization", sa.String(100), nullable=False),
        sa.Column("webhook_id", sa.String(36), nullable=False),
        sa.Column("event_id", sa.String(200), nullable=False),
        sa.Column("topic", sa.String(100), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("next_attempt_at", sa.String(24), nullable=False),
        sa.Column("attempts", sa.JSON(), nullable=False),
        sa.Column("attempts_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.String(24), nullable=False),
        sa.Column("ended_at", sa.String(24), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_registry_deliveries"),
        sa.UniqueConstraint(
            "webhook_id", "event_id", name="uq_registry_deliveries_webhook_id_event_id"
        ),
    )
    for columns in (["status", "next_attempt_at"], ["event_id"], ["ended_at"]):
        name = f"ix_registry_deliveries_{'_'.join(columns)}"
        op.create_index(name, "registry_deliveries", columns)
    op.create_table(
        "registry_signing_keys",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("secrets", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(24), nullable=False),
        sa.Column("retired_at", sa.String(24), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_registry_signing_keys"),
    )
    op.create_table(
        "registry_idempotency_keys",
        sa.Column("organization", sa.String(100), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("created_at", sa.String(24), nullable=False),
        sa.PrimaryKeyConstraint("organization", "key", name="pk_registry_idempotency_keys"),
    )


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
