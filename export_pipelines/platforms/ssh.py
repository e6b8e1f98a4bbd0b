"""Servers that are reached by SSH: who logs in, which server it must be, what errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import Field

from export_pipelines.errors import (
    PlatformError,
    PlatformMisconfigured,
    PlatformRefused,
    PlatformUnavailable,
    shown,
)
from export_pipelines.platforms.base import Platform, secret
from export_pipelines.platforms.network import network_error
from export_pipelines.platforms.ssh_keys import (
    HostKeys,
    read_host_key,
    read_known_hosts,
    read_private_key,
)
from export_pipelines.platforms.ssh_session import SshSession, ssh_session

if TYPE_CHECKING:
    import asyncssh

_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
"""The fastest first; all of them are held to be safe."""

_KEEPALIVES = 3


class SshPlatform(Platform):
    """A server that is reached by SSH. Only what is configured here is used to log in."""

    host: str = Field(
        description="The server's host name or IP address.", json_schema_extra={"address": True}
    )
    port: int = Field(
        default=22,
        ge=1,
        le=65535,
        description="The port of its SSH service.",
        json_schema_extra={"address": True},
    )
    username: str = Field(description="The account to log in with.")
    password: str = secret("Its password; may be left out where a private key is given.")
    private_key: str = secret("A private key, as the text that `ssh-keygen` writes.", lines=True)
    private_key_file: str = Field(
        default="",
        description="A file with the private key, instead of private_key.",
        json_schema_extra={"of_machine": True},
    )
    passphrase: str = secret("What opens the private key, if it is encrypted.")
    host_key: str = Field(
        default="",
        description="The server's public key, by which it is known: a line that `ssh-keyscan` "
        "prints, a key such as `ssh-ed25519 AAAA…`, or its fingerprint `SHA256:…`. Several may "
        "stand on lines of their own. Required unless known_hosts_file has it.",
        json_schema_extra={"lines": True, "address": True},
    )
    known_hosts_file: str = Field(
        default="",
        description="A file in OpenSSH's format that has the server's public key.",
        json_schema_extra={"of_machine": True},
    )

    @contextmanager
    def session(self) -> Iterator[SshSession]:
        """Log in at the server, once it has shown that it is the right one."""
        if not (self.host_key or self.known_hosts_file):
            raise PlatformMisconfigured(_no_host_key(self.host, self.port), field="host_key")
        key = read_private_key(self.private_key, self.private_key_file, self.passphrase)
        if not (key or self.password):
            raise PlatformMisconfigured(
                "password: there is neither a password nor a private key to log in with.",
                field="password",
            )
        with ssh_session(self.host, self.port, self.timeout_seconds) as session:
            with self.explained():
                trusted = self._trusted(session.connect())
                session.log_in(trusted, self._options(key))
            yield session

    def _trusted(self, address: str) -> HostKeys:
        if self.host_key:
            return read_host_key(self.host_key)
        return read_known_hosts(self.known_hosts_file, self.host, address, self.port)

    def _options(self, key: "asyncssh.SSHKey | None") -> dict[str, Any]:
        """Say how to log in. What is left out here asyncssh would look for in the home folder."""
        return {
            "username": self.username,
            "password": self.password or None,
            "client_keys": [key] if key else None,
            "public_key_auth": key is not None,
            "password_auth": bool(self.password),
            "kbdint_auth": bool(self.password),
            "host_based_auth": False,
            "gss_host": None,
            "agent_path": None,
            "config": None,
            "x509_trusted_certs": None,
            "encryption_algs": _CIPHERS,
            "compression_algs": None,
            "login_timeout": self.timeout_seconds,
            "keepalive_interval": self.timeout_seconds / (_KEEPALIVES + 1),
            "keepalive_count_max": _KEEPALIVES,
        }

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise errors of the library and of the network as ours."""
        import asyncssh

        try:
            yield
        except (asyncssh.Error, EOFError, OSError, UnicodeError) as error:
            explained = self._explanation(error)
            if explained is None:
                raise
            raise explained from None

    def _explanation(self, error: Exception) -> PlatformError | None:
        import asyncssh

        where = f"{self.host}:{self.port}"
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return self._wrong_server(where, error.reason)
        if isinstance(error, asyncssh.PermissionDenied) or (
            isinstance(error, asyncssh.DisconnectError) and "uthentication" in str(error)
        ):
            field = self._login_field()
            return PlatformMisconfigured(
                f"{field}: {where} does not let {self.username} log in with it. Correct it, or the "
                "username.",
                field=field,
            )
        if isinstance(error, asyncssh.ProtocolNotSupported):
            return PlatformMisconfigured(f"port: {where} does not speak SSH 2.", field="port")
        if isinstance(error, asyncssh.KeyExchangeFailed):
            return PlatformMisconfigured(
                f"host: {where} offers only encryption that is not safe any more. Its owner must "
                "update the server.",
                field="host",
            )
        return _ssh_error(error, where) or network_error(
            error, self.host, self.port, self.timeout_seconds
        )

    def _login_field(self) -> str:
        if self.password:
            return "password"
        return "private_key" if self.private_key else "private_key_file"

    def _wrong_server(self, where: str, reason: str) -> PlatformError:
        field = "host_key" if self.host_key else "known_hosts_file"
        return PlatformMisconfigured(
            f"{field}: {where} is not known to be the right server: {reason}. Nothing was sent. If "
            f"its owner confirms that this is its key, put it into {field}.",
            field=field,
        )


def _no_host_key(host: str, port: int) -> str:
    return (
        "host_key: the server's public key is missing, so nothing tells it from an impostor. Print "
        f"it with `ssh-keyscan -p {port} {host}`, compare it with what the server's owner says, "
        "and put one of the lines here, or name a known_hosts_file that has it."
    )


def _ssh_error(error: Exception, where: str) -> PlatformError | None:
    """Return what an error of a session means; None for one of the network or of this machine."""
    import asyncssh

    if not isinstance(error, asyncssh.Error):
        return None
    reason = shown(error.reason)
    if isinstance(error, asyncssh.ChannelOpenError):
        return PlatformRefused(
            f"{where} lets the account log in, but not transfer files: its owner must allow SFTP. "
            f"The server says {reason}."
        )
    if isinstance(error, asyncssh.SFTPNoSpaceOnFilesystem | asyncssh.SFTPQuotaExceeded):
        return PlatformRefused(f"The disk or the quota at {where} is full: make room there.")
    if isinstance(error, asyncssh.SFTPPermissionDenied | asyncssh.SFTPWriteProtect):
        return PlatformRefused(
            f"{where} does not let the account do this: give it permission to write and rename "
            f"there. The server says {reason}."
        )
    if isinstance(error, asyncssh.SFTPFailure):
        return PlatformRefused(
            f"{where} failed, as servers do whose disk or quota is full: make room there, and look "
            f"into its log. The server says {reason}."
        )
    lost = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)
    if isinstance(error, asyncssh.SFTPError) and not isinstance(error, lost):
        return PlatformRefused(
            f"{where} does not do what it is asked to. The server says {reason}."
        )
    return PlatformUnavailable(f"The connection to {where} broke off: {reason}.")
