"""Bulk export and import of a shop's catalogue and orders, as Dagster jobs."""
