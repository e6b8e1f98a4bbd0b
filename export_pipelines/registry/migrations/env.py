"""Runs revisions over the connection that it is given, within that connection's transaction."""

from alembic import context

from export_pipelines.registry.database import VERSION_TABLE
from export_pipelines.registry.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
