"""An emulator of Google Drive for tests, as nobody offers one: rclone keeps it honest.

Clients reach it as they reach Google: by https under Google's names, through the HTTPS proxy that
the environment names. While it runs, this process and its children have HTTPS_PROXY and a CA for
httplib2 set; NO_PROXY keeps all other servers of tests, which are on 127.0.0.1, out of it.
"""

import json
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import httplib2
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from export_pipelines.platforms.gdrive import Gdrive
from export_pipelines_tests.servers.drive_http import HOSTS, DriveServer
from export_pipelines_tests.servers.drive_service import EMAIL, SUBJECT, TOKEN_URI, Drive

if TYPE_CHECKING:
    from export_pipelines_tests.servers.targets import Target


@contextmanager
def start_drive(folder: Path) -> Iterator["Target"]:
    """Run an emulator and yield a platform on it."""
    with serve_drive(folder) as (target, _):
        yield target


@contextmanager
def serve_drive(folder: Path) -> Iterator[tuple["Target", Drive]]:
    """Run an emulator whose contents lie in `folder`; yield its platform, and it for orders.

    Raises:
        AssertionError: at the end, if a client sent what Google would not understand.
    """
    key = _account_key()
    drive = Drive(folder, key.public_key())
    drive.files.without_storage.add(EMAIL)
    drive.drive_id = drive.files.add_root("Exports", {EMAIL: "fileOrganizer"}, shared_drive=True)
    personal = {EMAIL: "writer", SUBJECT: "organizer"}
    drive.personal_id = drive.files.add_root("Mine", personal, shared_drive=False)
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOSTS).configure_cert(context)
    server = DriveServer(drive, context)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        with _reached_through(server.server_port, ca_file):
            yield _target(drive, key, server.server_port, ca_file), drive
    finally:
        server.end()
        thread.join()
    if drive.files.complaints:
        raise AssertionError("\n".join(drive.files.complaints))


@cache
def _account_key() -> rsa.RSAPrivateKey:
    # To make one for each emulator would take most of its start.
    return rsa.generate_private_key(65537, 2048)


def _target(drive: Drive, key: rsa.RSAPrivateKey, port: int, ca_file: Path) -> "Target":
    # Targets knows this module.
    from export_pipelines_tests.servers.targets import Target

    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    account = {"type": "service_account", "client_email": EMAIL, "private_key": pem}
    account |= {"private_key_id": "1", "project_id": "test-project", "token_uri": TOKEN_URI}
    key_file = drive.folder / "key.json"
    key_file.write_text(json.dumps(account), encoding="utf-8")
    key_file.chmod(0o600)
    platform = Gdrive(credentials=json.dumps(account), folder_id=drive.drive_id)

    @contextmanager
    def through(port: int) -> Iterator[Gdrive]:
        with _reached_through(port, ca_file):
            yield platform

    return Target(
        platform,
        remote=f":drive,service_account_file={key_file},root_folder_id={drive.drive_id},"
        f"team_drive={drive.drive_id}:",
        port=port,
        through=through,
        environment={"HTTPS_PROXY": f"http://127.0.0.1:{port}", "RCLONE_CA_CERT": str(ca_file)},
        secrets=(pem.splitlines()[3], drive.secret),
    )


@contextmanager
def _reached_through(port: int, ca_file: Path) -> Iterator[None]:
    """Lead all https of this process to a port, except what is on this machine."""
    values = {"https_proxy": f"http://127.0.0.1:{port}", "no_proxy": "127.0.0.1,localhost"}
    values |= {name.upper(): value for name, value in values.items()}
    values["HTTPLIB2_CA_CERTS"] = str(ca_file)
    before = {name: os.environ.get(name) for name in values}
    authorities = httplib2.CA_CERTS
    os.environ.update(values)
    httplib2.CA_CERTS = str(ca_file)
    try:
        yield
    finally:
        httplib2.CA_CERTS = authorities
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
