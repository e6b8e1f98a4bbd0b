"""Runs as programs see them: jobs with a status, counts, files and links."""
