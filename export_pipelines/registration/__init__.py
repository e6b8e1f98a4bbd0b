"""Registering platforms, profiles and schedules: all that is written is checked first."""
