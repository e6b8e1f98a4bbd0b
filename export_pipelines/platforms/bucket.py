"""A folder of a bucket, by the S3 protocol: what Amazon S3 and MinIO have in common."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from export_pipelines.artifacts import StagedFile
from export_pipelines.errors import PlatformUnavailable
from export_pipelines.platforms.base import (
    PIECE_BYTES,
    Connection,
    Receipt,
    RemoteFile,
    file_md5,
    is_hidden,
)
from export_pipelines.platforms.bucket_client import (
    Bucket,
    client_config,
    keep_secrets_out_of_logs,
    open_s3,
)
from export_pipelines.platforms.bucket_errors import explained
from export_pipelines.platforms.bucket_parts import (
    Part,
    checksum_of,
    cut_parts,
    require_unchanged,
    tag_of,
)
from export_pipelines.platforms.bucket_refusals import code_of, status_of
from export_pipelines.platforms.bucket_upload import MultipartUpload, put_whole

_LINK_SECONDS = 7 * 24 * 60 * 60


@contextmanager
def open_bucket(bucket: Bucket, open_session: Callable[[Any], Any]) -> Iterator[Connection]:
    """Open a connection to a bucket, and see that the account may list its folder.

    Args:
        bucket: the bucket.
        open_session: returns the boto3 session, whose own clients are to have the given config.
    """
    keep_secrets_out_of_logs()
    with explained(bucket.place):
        config = client_config(bucket)
        client = open_s3(open_session(config), bucket, config)
    with closing(client):
        connection = BucketConnection(client, bucket)
        connection.probe()
        yield connection


class BucketConnection(Connection):
    """An open bucket."""

    def __init__(self, client: Any, bucket: Bucket) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = bucket.prefix

    def probe(self) -> None:
        """See that the bucket is there, and that the credentials are good."""
        with explained(self._bucket.place):
            self._client.list_objects_v2(
                Bucket=self._bucket.place.bucket, Prefix=self._prefix, MaxKeys=1
            )

    def put(
        self, file: StagedFile, name: str, on_bytes: Callable[[int], None] = lambda done: None
    ) -> Receipt:
        """Put a file in one request, or in parts of which earlier tries may have sent some."""
        target, parts = self._target(name), cut_parts(file)
        with explained(self._bucket.place):
            verified = self._compared(target, file, parts)
            sent = 0
            if verified:
                require_unchanged(file)
            else:
                sent = self._send(target, file, parts, on_bytes)
                verified = self._compared(target, file, parts) or self._read_back(target, file)
        on_bytes(file.bytes)
        return Receipt(sent, verified)

    def get(self, name: str, target: Path) -> None:
        """Write a file's content to `target`."""
        with explained(self._bucket.place):
            body = self._open(self._target(name))
            if body is None:
                raise FileNotFoundError(name)
            with closing(body), target.open("wb") as copy:
                for piece in body.iter_chunks(PIECE_BYTES):
                    copy.write(piece)

    def list(self, folder: str = "") -> list[RemoteFile]:
        """Return the files of one folder, by name."""
        below = f"{folder.strip('/')}/" if folder.strip("/") else ""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket.place.bucket, Prefix=self._prefix + below, Delimiter="/"
        )
        with explained(self._bucket.place):
            listed = [entry for page in pages for entry in page.get("Contents", ())]
        files = [RemoteFile(entry["Key"][len(self._prefix) :], entry["Size"]) for entry in listed]
        # Some programs mark a folder by an empty file whose name ends in a slash.
        found = [file for file in files if not is_hidden(file.name) and file.name != below]
        return sorted(found, key=lambda file: file.name)

    def delete(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""
        with explained(self._bucket.place):
            self._client.delete_object(**self._target(name))

    def link(self, name: str, seconds: int) -> str | None:
        """Return a signed address that downloads the file, for seven days at most."""
        with explained(self._bucket.place):
            link: str = self._client.generate_presigned_url(
                "get_object",
                Params={
                    **self._target(name),
                    "ResponseContentDisposition": _attachment(name.rpartition("/")[2]),
                },
                ExpiresIn=min(seconds, _LINK_SECONDS),
            )
        return link

    def _target(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket.place.bucket, "Key": self._prefix + name}

    def _send(
        self,
        target: Mapping[str, str],
        file: StagedFile,
        parts: tuple[Part, ...],
        on_bytes: Callable[[int], None],
    ) -> int:
        options, place = self._bucket.options, self._bucket.place
        # Amazon knows no folders. Some servers do, and confuse one with a file of its name.
        if self._bucket.endpoint_url and self._has_folder(target):
            raise place.taken()
        if len(parts) == 1:
            require_unchanged(file)
            put_whole(self._client, target, parts[0], options)
            return parts[0].size
        upload = MultipartUpload(self._client, target, file, parts, place)
        return upload.send(options, on_bytes)

    def _has_folder(self, target: Mapping[str, str]) -> bool:
        listed = self._client.list_objects_v2(
            Bucket=target["Bucket"], Prefix=f"{target['Key']}/", MaxKeys=1
        )
        return bool(listed.get("Contents"))

    def _compared(self, target: Mapping[str, str], file: StagedFile, parts: Sequence[Part]) -> str:
        """Return which of the server's digests shows that the file is there; empty if none does."""
        head = self._head(target)
        if head is None or head["ContentLength"] != file.bytes:
            return ""
        if "ChecksumSHA256" in head:
            return "sha256" if head["ChecksumSHA256"] == checksum_of(parts) else ""
        tag = head["ETag"].strip('"')
        return "md5" if tag == (tag_of(parts) if "-" in tag else file_md5(Path(file.path))) else ""

    def _head(self, target: Mapping[str, str]) -> Any:
        """Return what the server knows of a file; None if there is none."""
        from botocore.exceptions import ClientError

        try:
            return self._client.head_object(**target, ChecksumMode="ENABLED")
        except ClientError as error:
            if status_of(error) == 404:
                return None
            # The answer to a HEAD has no body that could say why.
            self.probe()
            raise

    def _open(self, target: Mapping[str, str]) -> Any:
        from botocore.exceptions import ClientError

        try:
            return self._client.get_object(**target)["Body"]
        except ClientError as error:
            if code_of(error) in ("NoSuchKey", "404"):
                return None
            raise

    def _read_back(self, target: Mapping[str, str], file: StagedFile) -> str:
        """Compare a file whose digest the server does not tell; remove it if it is another."""
        digest = sha256()
        body = self._open(target)
        if body is not None:
            with closing(body):
                for piece in body.iter_chunks(PIECE_BYTES):
                    digest.update(piece)
            if digest.hexdigest() == file.sha256:
                return "sha256"
            self._client.delete_object(**target)
        raise PlatformUnavailable(
            f"{self._bucket.place.server} holds other bytes than were sent to it."
        )


def _attachment(file_name: str) -> str:
    """Return the header that makes a browser save a file under its name."""
    plain = file_name.encode("ascii", "replace").decode().replace("\\", "_").replace('"', "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"
