"""Measurements against what people would use instead; nothing here is a test."""
