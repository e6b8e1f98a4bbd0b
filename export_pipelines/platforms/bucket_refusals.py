"""The codes by which servers of the S3 protocol refuse work, in sentences that say what to do."""

from dataclasses import asdict, dataclass
from typing import Any

from export_pipelines.errors import (
    PlatformError,
    PlatformMisconfigured,
    PlatformRefused,
    PlatformUnavailable,
    shown,
)


@dataclass(frozen=True)
class Place:
    """A bucket as messages name it, and its platform's fields that they blame.

    Attributes:
        bucket: its name.
        server: the address of its server, or Amazon S3.
        host: the field that tells the server.
        access_key: the field of the access key.
        secret_key: the field of the secret key.
        session_token: the field of a temporary key's token.
    """

    bucket: str
    server: str
    host: str
    access_key: str
    secret_key: str
    session_token: str

    def misconfigured(self, field: str, sentence: str) -> PlatformMisconfigured:
        """Return an error whose field and sentence may name attributes of this place."""
        names = asdict(self)
        return PlatformMisconfigured(sentence.format(**names), field=field.format(**names))

    def taken(self) -> PlatformRefused:
        """Return an error for a name that is a folder's."""
        return PlatformRefused(
            f"In the bucket {self.bucket} at {self.server} a folder has the file's name, or a "
            "file that of its folder: remove it there."
        )

    def without_protocol(self) -> PlatformMisconfigured:
        """Return an error for a server of another kind."""
        return self.misconfigured(*_MISCONFIGURED["NoProtocol"])

    def without_name(self) -> PlatformMisconfigured:
        """Return an error for a name that no bucket can have."""
        return self.misconfigured(*_MISCONFIGURED["InvalidBucketName"])


_MISCONFIGURED = {
    "InvalidAccessKeyId": (
        "{access_key}",
        "{server} does not know the access key: correct {access_key}.",
    ),
    "SignatureDoesNotMatch": (
        "{secret_key}",
        "{server} refuses the secret key: it is not the one of the access key. Correct "
        "{secret_key}.",
    ),
    "ExpiredToken": (
        "{session_token}",
        "The temporary credentials for {server} have expired: replace the keys and "
        "{session_token}.",
    ),
    "InvalidToken": (
        "{session_token}",
        "{server} refuses the token of the temporary credentials: replace the keys and "
        "{session_token}.",
    ),
    "NoSuchBucket": (
        "bucket",
        "There is no bucket {bucket} at {server}: correct bucket, or create it there.",
    ),
    "InvalidBucketName": ("bucket", "{bucket} cannot be a bucket's name: correct bucket."),
    "RequestTimeTooSkewed": (
        "{secret_key}",
        "The clock of this machine and that of {server} differ too much for a signature to hold: "
        "set this machine's clock. {secret_key} need not change.",
    ),
    "AuthorizationHeaderMalformed": (
        "region_name",
        "The bucket {bucket} at {server} is in another region: correct region_name.",
    ),
    "InvalidStorageClass": (
        "storage_class",
        "{server} has no such storage class: choose another storage_class.",
    ),
    "InvalidEncryptionAlgorithmError": (
        "server_side_encryption",
        "{server} cannot encrypt files that way: choose another server_side_encryption.",
    ),
    "NotImplemented": (
        "{host}",
        "{server} does not offer all of the S3 protocol that is needed: uploads in parts, and the "
        "storage class and encryption that are asked for, if any.",
    ),
    "NoProtocol": (
        "{host}",
        "{server} does not speak the S3 protocol: correct {host}. A console for people has "
        "another port.",
    ),
    "KMS": (
        "kms_key_id",
        "{server} cannot use the key of server-side encryption: correct kms_key_id, or let this "
        "account use the key.",
    ),
}
_SAME = {
    "TokenRefreshRequired": "ExpiredToken",
    "ExpiredTokenException": "ExpiredToken",
    "InvalidTokenId": "InvalidToken",
    "InvalidClientTokenId": "InvalidAccessKeyId",
    "PermanentRedirect": "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException": "AuthorizationHeaderMalformed",
    "301": "NoProtocol",
    "302": "NoProtocol",
    "307": "NoProtocol",
    "404": "NoProtocol",
}
_NOT_PERMITTED = {"AccessDenied", "AllAccessDisabled", "AccountProblem", "403"}
_FULL = {"XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded"}
_TAKEN = {"XMinioObjectExistsAsDirectory", "XMinioParentIsObject", "ExistingObjectIsDirectory"}
_TRANSIENT = {
    "BadDigest",
    "IncompleteBody",
    "InvalidPart",
    "NoSuchUpload",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "XAmzContentSHA256Mismatch",
}
_ACTIONS = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectsV2": "s3:ListBucket",
    "ListParts": "s3:ListMultipartUploadParts",
}


def refusal(error: Any, place: Place) -> PlatformError:
    """Return what a server's refusal means."""
    code, status = code_of(error), status_of(error)
    known = _MISCONFIGURED.get(_SAME.get(code, code.partition(".")[0]))
    if known:
        return place.misconfigured(*known)
    if code in _NOT_PERMITTED:
        return _not_permitted(error.operation_name, place)
    if code in _FULL or status == 507:
        return PlatformRefused(
            f"{place.server} has no room for more in the bucket {place.bucket}: make room there, "
            "or raise its quota."
        )
    if code in _TAKEN:
        return place.taken()
    if code in _TRANSIENT or status == 429 or status >= 500:
        return PlatformUnavailable(
            f"{place.server} could not do its work for the bucket {place.bucket} ({code})."
        )
    message = shown(error.response.get("Error", {}).get("Message", ""))
    return PlatformRefused(
        f"{place.server} refuses work in the bucket {place.bucket}: {code}, {message}."
    )


def _not_permitted(operation: str, place: Place) -> PlatformError:
    if operation == "AssumeRole":
        return place.misconfigured(
            "role_arn",
            "This account may not take the role of role_arn: correct it or external_id, or let "
            "the role trust the account.",
        )
    action = _ACTIONS.get(operation, "s3:PutObject")
    return PlatformRefused(
        f"This account may not do {action} in the bucket {place.bucket} at {place.server}: permit "
        "it there, or choose another bucket."
    )


def code_of(error: Any) -> str:
    """Return the code by which a server names its refusal; a status if it gives none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: Any) -> int:
    """Return the HTTP status of a server's refusal."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
