"""Registered platforms, as rows."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from export_pipelines.registry import rows
from export_pipelines.registry.database import reading
from export_pipelines.registry.models import PlatformRow
from export_pipelines.registry.secrets import decrypt, encrypt


def find(organization: str, name: str) -> PlatformRow | None:
    """Return an organization's platform by name or id; None if there is none.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    with reading() as session:
        return rows.find(session, PlatformRow, organization, name)


def names(organization: str) -> list[str]:
    """Return the names of an organization's platforms.

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    with reading() as session:
        return [row.name for row in rows.all_of(session, PlatformRow, organization)]


def automatic(organization: str) -> list[str]:
    """Return the names of the platforms that every completed export goes to (P24).

    Raises:
        RegistryUnavailable: the registry does not answer.
    """
    chosen = select(PlatformRow.name).where(
        PlatformRow.organization == organization,
        PlatformRow.is_active,
        PlatformRow.auto_upload,
    )
    with reading() as session:
        return list(session.scalars(chosen.order_by(PlatformRow.name)))


def put_fields(
    session: Session,
    row: PlatformRow,
    fields: Mapping[str, Any],
    secrets: Mapping[str, str],
    variables: Mapping[str, str],
) -> None:
    """Give a platform's row its fields; what is encrypted already and the same stays as it is.

    Args:
        session: of `writing`.
        row: the platform's.
        fields: those that are no secrets.
        secrets: those that are.
        variables: the variables that some of them came from.

    Raises:
        KeyUnavailable: secrets cannot be stored or compared, as their key is not there.
    """
    row.fields = dict(fields)
    row.variables = dict(variables)
    if row.secrets and decrypt(row) == secrets:
        return
    row.secrets = encrypt(session, secrets)
    row.secret_names = sorted(secrets)
