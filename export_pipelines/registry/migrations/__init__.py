"""Revisions of the registry's tables, for Alembic; `registry.database` runs them by itself."""
