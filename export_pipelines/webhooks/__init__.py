"""Telling webhooks of what becomes of jobs: events, whom they concern, and how they get there."""
