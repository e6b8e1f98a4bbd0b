"""MinIO, and other object stores of one's own that speak the S3 protocol."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import Field

from export_pipelines.platforms.base import Connection, Platform, secret
from export_pipelines.platforms.bucket import open_bucket
from export_pipelines.platforms.bucket_client import Bucket, server_address
from export_pipelines.platforms.bucket_refusals import Place


class Minio(Platform):
    """A bucket of a MinIO server, or of another that speaks the S3 protocol."""

    platform_type: Literal["minio"] = "minio"
    endpoint_url: str = Field(
        description="The server's address, such as https://minio.example.com:9000: the port for "
        "programs, not that of the console.",
        json_schema_extra={"address": True},
    )
    bucket: str = Field(min_length=1, description="The bucket. It must be there.")
    folder: str = Field(
        default="", description="A folder of the bucket; without one, files lie at its top."
    )
    access_key: str = secret("The access key of an account that may write to the bucket.")
    secret_key: str = secret("The secret key that belongs to the access key.")
    region_name: str = Field(
        default="us-east-1",
        min_length=1,
        description="The server's region. Servers that were given none take this one.",
    )
    ca_file: str = Field(
        default="",
        description="A PEM file with the authority that signed the server's certificate, if this "
        "machine does not know it.",
        json_schema_extra={"of_machine": True},
    )

    @property
    def location(self) -> str:
        """The server, the bucket and the folder."""
        return self._bucket.location

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open the bucket."""
        with open_bucket(self._bucket, self._open_session) as connection:
            yield connection

    @property
    def _bucket(self) -> Bucket:
        place = Place(
            bucket=self.bucket,
            server=server_address(self.endpoint_url),
            host="endpoint_url",
            access_key="access_key",
            secret_key="secret_key",  # noqa: S106 - a field's name
            session_token="access_key",  # noqa: S106 - a field's name
        )
        return Bucket(
            place=place,
            folder=self.folder,
            endpoint_url=self.endpoint_url,
            ca_file=self.ca_file,
            timeout_seconds=self.timeout_seconds,
            options={},
        )

    def _open_session(self, config: Any) -> Any:
        import boto3.session
        import botocore.session
        from botocore.exceptions import NoCredentialsError

        # A profile of this machine is for Amazon's servers.
        alone = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
        if not (self.access_key and self.secret_key):
            raise NoCredentialsError
        alone.set_credentials(self.access_key, self.secret_key)
        return boto3.session.Session(botocore_session=alone, region_name=self.region_name)
