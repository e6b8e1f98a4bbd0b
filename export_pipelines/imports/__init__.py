"""Imports: what becomes of a file's rows on their way into the catalogue."""
