"""The registry: platforms, export profiles and schedules, which people register at run time.

A small database of its own, apart from the catalogue; the only place that secrets are stored in,
encrypted. It keeps rows; whether what they say makes sense is for those who write them.
"""
