"""A sample shop: realistic data with awkward values, the same in every database."""

from export_pipelines.catalog.sample.shop import generate, table_sizes

__all__ = ["generate", "table_sizes"]
