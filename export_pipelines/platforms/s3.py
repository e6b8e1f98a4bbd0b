"""Amazon S3, and services that offer its protocol with their own keys and regions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import Field

from export_pipelines.platforms.base import Connection, Platform, secret
from export_pipelines.platforms.bucket import open_bucket
from export_pipelines.platforms.bucket_client import Bucket, open_client, server_address
from export_pipelines.platforms.bucket_refusals import Place

_SESSION_NAME = "export-pipelines"


class S3(Platform):
    """A bucket of Amazon S3.

    The fields that Dagster's own S3Resource has too are named and mean the same.
    """

    platform_type: Literal["s3"] = "s3"
    bucket: str = Field(min_length=1, description="The bucket. It must be there.")
    folder: str = Field(
        default="", description="A folder of the bucket; without one, files lie at its top."
    )
    region_name: str = Field(
        default="",
        description="The bucket's region, such as eu-central-1; without one, that of the profile.",
    )
    endpoint_url: str = Field(
        default="",
        description="The address of another service with the S3 protocol, such as "
        "https://s3.example.com; without one, Amazon's.",
        json_schema_extra={"address": True},
    )
    profile_name: str = Field(
        default="",
        description="A profile of the AWS settings on the machine where exports run.",
        json_schema_extra={"of_machine": True},
    )
    aws_access_key_id: str = secret(
        "The access key. Without keys, those that AWS programs would find are used: of the "
        "profile, the environment or the machine's role.",
        else_of_machine=True,
    )
    aws_secret_access_key: str = secret("The secret key that belongs to the access key.")
    aws_session_token: str = secret("The token of temporary keys.")
    role_arn: str = Field(
        default="",
        description="A role to take with these credentials, such as "
        "arn:aws:iam::123456789012:role/shop.",
    )
    external_id: str = Field(
        default="", description="What the role's owner asks for as external id, if anything."
    )
    storage_class: Literal[
        "", "STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"
    ] = Field(
        default="", description="The storage class of new files; without one, the service's own."
    )
    server_side_encryption: Literal["", "AES256", "aws:kms"] = Field(
        default="",
        description="How the service encrypts new files; without a choice, as the bucket says.",
    )
    kms_key_id: str = Field(
        default="",
        description="The key for aws:kms; without one, the account's own for S3.",
    )
    ca_file: str = Field(
        default="",
        description="A PEM file with the authority that signed the service's certificate, if this "
        "machine does not know it.",
        json_schema_extra={"of_machine": True},
    )

    @property
    def location(self) -> str:
        """The bucket and the folder, with the server if it is not Amazon's."""
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
            server=self._server,
            host="endpoint_url" if self.endpoint_url else "region_name",
            access_key="aws_access_key_id",
            secret_key="aws_secret_access_key",  # noqa: S106 - a field's name
            session_token="aws_session_token",  # noqa: S106 - a field's name
        )
        options = {
            "StorageClass": self.storage_class,
            "ServerSideEncryption": self.server_side_encryption,
            "SSEKMSKeyId": self.kms_key_id,
        }
        return Bucket(
            place=place,
            folder=self.folder,
            endpoint_url=self.endpoint_url,
            ca_file=self.ca_file,
            timeout_seconds=self.timeout_seconds,
            options={name: value for name, value in options.items() if value},
        )

    @property
    def _server(self) -> str:
        if self.endpoint_url:
            return server_address(self.endpoint_url)
        return f"Amazon S3 in {self.region_name}" if self.region_name else "Amazon S3"

    def _open_session(self, config: Any) -> Any:
        from boto3.session import Session
        from botocore.exceptions import PartialCredentialsError

        if bool(self.aws_access_key_id) != bool(self.aws_secret_access_key):
            raise PartialCredentialsError(provider="config", cred_var="keys")
        session = Session(
            aws_access_key_id=self.aws_access_key_id or None,
            aws_secret_access_key=self.aws_secret_access_key or None,
            aws_session_token=self.aws_session_token or None,
            region_name=self.region_name or None,
            profile_name=self.profile_name or None,
        )
        return self._assumed(session, config) if self.role_arn else session

    def _assumed(self, session: Any, config: Any) -> Any:
        """Return a session with the role, which is taken anew before it expires."""
        import botocore.session
        from boto3.session import Session
        from botocore.credentials import CredentialResolver

        sts = open_client(session, "sts", config)
        request = {"RoleArn": self.role_arn, "RoleSessionName": _SESSION_NAME}
        if self.external_id:
            request["ExternalId"] = self.external_id
        inner = botocore.session.Session()
        role = _Role(sts, request)
        inner.register_component("credential_provider", CredentialResolver([role]))
        return Session(botocore_session=inner, region_name=session.region_name)


class _Role:
    """Gives botocore the credentials of a role."""

    METHOD = "assume-role"

    def __init__(self, sts: Any, request: dict[str, str]) -> None:
        self._sts = sts
        self._request = request

    def load(self) -> Any:
        from botocore.credentials import RefreshableCredentials

        return RefreshableCredentials.create_from_metadata(
            self._take(), refresh_using=self._take, method=self.METHOD
        )

    def _take(self) -> dict[str, str]:
        taken = self._sts.assume_role(**self._request)["Credentials"]
        return {
            "access_key": taken["AccessKeyId"],
            "secret_key": taken["SecretAccessKey"],
            "token": taken["SessionToken"],
            "expiry_time": taken["Expiration"].isoformat(),
        }
