"""Tests that every implementation of something inherits, and what they compare with."""

import pytest

pytest.register_assert_rewrite(
    "export_pipelines_tests.contracts.formats", "export_pipelines_tests.contracts.platforms"
)
