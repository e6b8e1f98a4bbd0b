"""Tests of `export_pipelines`; the folders mirror the package."""
