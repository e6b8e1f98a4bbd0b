"""Starlette's client, which asks an application in this process.

It warns when it is imported that it would rather have httpx2, of which there is only httpx.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", UserWarning)
    from starlette.testclient import TestClient

__all__ = ["TestClient"]
