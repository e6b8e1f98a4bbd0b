"""Files on their way into a bucket: sent by threads, and gone on with after a crash."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from threading import Event
from typing import Any, BinaryIO

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformError
from export_pipelines.platforms.bucket_errors import explained
from export_pipelines.platforms.bucket_parts import Part, require_unchanged
from export_pipelines.platforms.bucket_refusals import Place, code_of

_THREADS = 4


def put_whole(
    client: Any, target: Mapping[str, str], part: Part, options: Mapping[str, str]
) -> None:
    """Send a file of one part."""
    with part.path.open("rb") as source:
        client.put_object(**target, **_body(source, part, Event()), **options)


def _body(source: BinaryIO, part: Part, stop: Event) -> dict[str, Any]:
    return {
        "Body": _PartReader(source, part, stop),
        "ContentMD5": b64encode(part.md5).decode(),
        "ChecksumSHA256": part.checksum,
    }


class _StoppedError(BaseException):
    """The work is given up. Botocore would take an Exception for a broken line, and try again."""


class _PartReader:
    """A part as the body of a request: in pieces, as a slow line would look dead otherwise."""

    def __init__(self, source: BinaryIO, part: Part, stop: Event) -> None:
        self._source = source
        self._start = part.start
        self._end = part.start + part.size
        self._stop = stop
        source.seek(part.start)

    def read(self, size: int | None = None) -> bytes:
        if self._stop.is_set():
            raise _StoppedError
        left = self._end - self._source.tell()
        return self._source.read(left if size is None or size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = 0) -> int:
        self._source.seek((self._start, self._source.tell(), self._end)[whence] + offset)
        return self.tell()

    def tell(self) -> int:
        return self._source.tell() - self._start


class MultipartUpload:
    """A file of many parts, which becomes visible when the last one is there."""

    def __init__(
        self,
        client: Any,
        target: Mapping[str, str],
        file: StagedFile,
        parts: tuple[Part, ...],
        place: Place,
    ) -> None:
        self._client = client
        self._target = target
        self._file = file
        self._parts = parts
        self._place = place

    def send(self, options: Mapping[str, str], on_bytes: Callable[[int], None]) -> int:
        """Send the parts that no earlier try has sent, and return their bytes.

        After a failure that may pass they are kept, so that the next try goes on with them.
        """
        unfinished = self._unfinished()
        upload, there = max(unfinished.items(), key=lambda found: len(found[1]), default=("", {}))
        if not there:
            upload = self._client.create_multipart_upload(
                **self._target, ChecksumAlgorithm="SHA256", **options
            )["UploadId"]
        missing = [part for part in self._parts if part.number not in there]
        try:
            with explained(self._place):
                there = there | self._send_parts(upload, missing, on_bytes)
                self._complete(upload, there)
        except OSError:
            self._abort([upload])
            raise
        except PlatformError as error:
            if not error.worth_retrying:
                self._abort([upload])
            raise
        self._abort(set(unfinished) - {upload})
        return sum(part.size for part in missing)

    def _unfinished(self) -> dict[str, dict[int, str]]:
        """Return earlier tries at this name, with number and ETag of the parts to go on with."""
        from botocore.exceptions import ClientError

        pages = self._client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._target["Bucket"], Prefix=self._target["Key"]
        )
        try:
            found = [upload for page in pages for upload in page.get("Uploads", ())]
            return {
                upload["UploadId"]: self._parts_there(upload["UploadId"])
                for upload in found
                if upload["Key"] == self._target["Key"]
            }
        except ClientError as error:
            # So some servers say that there are none.
            if code_of(error) == "NoSuchUpload":
                return {}
            raise

    def _parts_there(self, upload: str) -> dict[int, str]:
        """Return the parts that an earlier try has sent; none if any is of another content."""
        pages = self._client.get_paginator("list_parts").paginate(**self._target, UploadId=upload)
        listed = [part for page in pages for part in page.get("Parts", ())]
        known = {part.number: part for part in self._parts}
        for part in listed:
            number = part["PartNumber"]
            if number not in known or not known[number].is_as_listed(part):
                return {}
        return {part["PartNumber"]: part["ETag"] for part in listed}

    def _send_parts(
        self, upload: str, missing: Sequence[Part], on_bytes: Callable[[int], None]
    ) -> dict[int, str]:
        """Send parts in threads, and return their numbers and ETags."""
        done = sum(part.size for part in self._parts) - sum(part.size for part in missing)
        tags = {}
        stop = Event()
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3-part")
        reader = ThreadPoolExecutor(1, thread_name_prefix="s3-file")
        try:
            unchanged = reader.submit(require_unchanged, self._file)
            sending = {pool.submit(self._send_part, upload, part, stop): part for part in missing}
            for sent in as_completed(sending):
                part = sending[sent]
                tags[part.number] = sent.result()
                done += part.size
                on_bytes(done)
            unchanged.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
            reader.shutdown()
        return tags

    def _send_part(self, upload: str, part: Part, stop: Event) -> str:
        with part.path.open("rb") as source:
            answer = self._client.upload_part(
                **self._target,
                UploadId=upload,
                PartNumber=part.number,
                **_body(source, part, stop),
            )
        return str(answer["ETag"])

    def _complete(self, upload: str, tags: Mapping[int, str]) -> None:
        parts = [
            {
                "PartNumber": part.number,
                "ETag": tags[part.number],
                "ChecksumSHA256": part.checksum,
            }
            for part in self._parts
        ]
        self._client.complete_multipart_upload(
            **self._target, UploadId=upload, MultipartUpload={"Parts": parts}
        )

    def _abort(self, uploads: Iterable[str]) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        for upload in uploads:
            # They are invisible, and the bucket's lifecycle rule removes them some day.
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**self._target, UploadId=upload)
