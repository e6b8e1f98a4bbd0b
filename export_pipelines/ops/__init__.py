"""Ops: thin adapters between Dagster and the plain functions of this package."""
