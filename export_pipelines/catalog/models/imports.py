"""What imports leave behind in the catalogue, so that none is applied twice."""

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from export_pipelines.catalog.models.base import Base


class ImportReceipt(Base):
    """An imported file whose rows are in the catalogue; written in the same transaction."""

    __tablename__ = "import_receipts"

    claim: Mapped[str] = mapped_column(String(512), primary_key=True)
    applied_at: Mapped[datetime]
    outcome: Mapped[dict[str, Any]] = mapped_column(comment="counts, and rows that were left out")
