"""An FTP server as a program: `pyftpdlib_server.py PORT FOLDER FIRST_PASSIVE LAST_PASSIVE`.

The environment has USERNAME and PASSWORD. CERTIFICATE (PEM, with its key) makes it demand TLS,
CHECKSUM is a command that tells checksums (XSHA256, XMD5 or HASH), PERMISSIONS are those of
pyftpdlib, and REPLACES=no makes it refuse to rename to a name that is taken.
"""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.filesystems import AbstractedFS, FilesystemError
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

_CHECKSUM = os.environ.get("CHECKSUM", "")
_FEATURES = {"HASH": "HASH SHA-256*;SHA-1;MD5"}


class _KeepingFS(AbstractedFS):  # type: ignore[misc]
    """Like servers that do not replace a file."""

    def rename(self, src: str, dst: str) -> None:
        if Path(dst).exists():
            raise FilesystemError("File exists.")
        super().rename(src, dst)


def _tell_checksum(handler: FTPHandler, path: str) -> None:
    content = Path(path).read_bytes()
    if _CHECKSUM == "HASH":
        digest = hashlib.sha256(content).hexdigest()
        handler.respond(f"213 SHA-256 0-{len(content)} {digest} {Path(path).name}")
        return
    kind = _CHECKSUM.removeprefix("X").lower()
    handler.respond(f"250 {hashlib.new(kind, content).hexdigest().upper()}")


def _handler() -> Any:
    certificate = os.environ.get("CERTIFICATE")
    handler = TLS_FTPHandler if certificate else FTPHandler
    if certificate:
        handler.certfile = certificate
        handler.tls_control_required = handler.tls_data_required = True
    if os.environ.get("REPLACES") == "no":
        handler.abstracted_fs = _KeepingFS
    return _with_checksum(handler) if _CHECKSUM else handler


def _with_checksum(handler: Any) -> Any:
    class Handler(handler):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._extra_feats.append(_FEATURES.get(_CHECKSUM, _CHECKSUM))

    arguments = {"auth": True, "arg": True, "perm": "r", "help": _CHECKSUM}
    Handler.proto_cmds = {**handler.proto_cmds, _CHECKSUM: arguments}
    setattr(Handler, f"ftp_{_CHECKSUM}", _tell_checksum)
    return Handler


def _serve(port: str, folder: str, first: str, last: str) -> None:
    authorizer = DummyAuthorizer()
    permissions = os.environ.get("PERMISSIONS", "elradfmwMT")
    authorizer.add_user(os.environ["USERNAME"], os.environ["PASSWORD"], folder, perm=permissions)
    handler = _handler()
    handler.authorizer = authorizer
    handler.auth_failed_timeout = 0
    handler.passive_ports = range(int(first), int(last) + 1)
    FTPServer(("127.0.0.1", int(port)), handler).serve_forever()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
