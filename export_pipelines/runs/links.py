"""Links to files of exports that need no key, and that are good for 5 minutes (C11, C12, N27).

A link names its job, its file and its end, all of which its signature covers: for another job, file
or time it is worth nothing.
"""

import hashlib
import hmac
import time
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from export_pipelines.errors import ExportPipelinesError
from export_pipelines.registry.signing import known_signing_keys
from export_pipelines.resources import LINK_SECONDS
from export_pipelines.runs.views import ExportJob


class LinkRefused(ExportPipelinesError):
    """A link is not, or no longer, good."""

    code = "link_refused"


def with_links(job: ExportJob, address: str) -> ExportJob:
    """Return a job with new links to its files, if there are any.

    Args:
        job: the job.
        address: of the API, such as `https://shop.example/api/v1`.

    Raises:
        RegistryUnavailable: the registry does not answer.
        KeyUnavailable: links cannot be signed.
    """
    if not job.files:
        return job
    key = known_signing_keys()[0]
    end = int(time.time()) + LINK_SECONDS
    files = [
        file.model_copy(update={"url": _url(address, key, job.id, file.name, end)})
        for file in job.files
    ]
    return job.model_copy(update={"files": files, "file_url": _url(address, key, job.id, "", end)})


def check_link(run_id: str, part: str, expires: str, signature: str, keys: Sequence[bytes]) -> None:
    """Refuse a link that is not good.

    Args:
        run_id: the job's.
        part: the name of one of its files; empty for all of them.
        expires: the end of the link, in seconds since 1970.
        signature: the link's.
        keys: the keys of which one must have signed it.

    Raises:
        LinkRefused: it has expired, or is not one that was signed here.
    """
    good = any(
        hmac.compare_digest(
            _signature(key, run_id, part, expires), signature.encode(errors="surrogatepass")
        )
        for key in keys
    )
    if not good:
        raise LinkRefused("This link is not valid: read the job again for a new one.")
    if int(expires) < time.time():
        raise LinkRefused("This link has expired: read the job again for a new one.")


def _url(address: str, key: bytes, run_id: str, part: str, end: int) -> str:
    query = {"part": part} if part else {}
    signature = _signature(key, run_id, part, str(end)).decode()
    query |= {"expires": str(end), "signature": signature}
    return f"{address}/exports/files/{quote(run_id)}?{urlencode(query)}"


def _signature(key: bytes, run_id: str, part: str, expires: str) -> bytes:
    text = "\n".join(("link", run_id, part, expires))
    signed = hmac.new(key, text.encode(errors="surrogatepass"), hashlib.sha256)
    return signed.hexdigest().encode()
