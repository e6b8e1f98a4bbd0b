"""The HTTP API under /api/v1: runs as jobs, and the registry, in Pixee's paths and shapes."""
