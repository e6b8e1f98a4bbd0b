"""Keys of SSH: the one that logs in, and those by which a server is known."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from export_pipelines.errors import PlatformMisconfigured, shown

if TYPE_CHECKING:
    import asyncssh

_FINGERPRINT = "SHA256:"


@dataclass(frozen=True)
class HostKeys:
    """The keys that one server may show.

    Attributes:
        keys: whole public keys.
        fingerprints: keys of which only `SHA256:…` is known.
        authorities: keys that may sign a server's key.
        revoked: keys that are refused in any case.
    """

    keys: "tuple[asyncssh.SSHKey, ...]" = ()
    fingerprints: tuple[str, ...] = ()
    authorities: "tuple[asyncssh.SSHKey, ...]" = ()
    revoked: "tuple[asyncssh.SSHKey, ...]" = ()

    def has(self, key: "asyncssh.SSHKey") -> bool:
        """Return whether a server may show this key."""
        return key in self.keys or key.get_fingerprint() in self.fingerprints

    @property
    def algorithms(self) -> list[str]:
        """What a server is asked for: the kinds of the known keys first, then any other.

        A server with none of those kinds then shows a key that the error message can name.
        """
        from asyncssh.public_key import get_default_certificate_algs, get_default_public_key_algs

        wanted = get_default_certificate_algs() if self.authorities else []
        for key in self.keys:
            wanted += [name for name in key.sig_algorithms if name not in wanted]
        known = get_default_public_key_algs()
        return [name.decode() for name in dict.fromkeys([*wanted, *known])]


def read_host_key(text: str) -> HostKeys:
    """Read the field `host_key`: lines as `ssh-keyscan` prints them, keys, or fingerprints."""
    import asyncssh

    keys: list[asyncssh.SSHKey] = []
    fingerprints: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0].startswith(_FINGERPRINT):
            fingerprints.append(words[0].rstrip("="))
            continue
        keys.append(_public_key(line, words))
    return HostKeys(tuple(keys), tuple(fingerprints))


def _public_key(line: str, words: list[str]) -> "asyncssh.SSHKey":
    import asyncssh

    for first in (0, 1):
        try:
            return asyncssh.import_public_key(" ".join(words[first : first + 2]))
        except asyncssh.KeyImportError:
            continue
    raise PlatformMisconfigured(
        f"host_key: {shown(line.strip())} is neither a line of `ssh-keyscan`, a public key such as "
        "`ssh-ed25519 AAAA…`, nor a fingerprint `SHA256:…`.",
        field="host_key",
    )


def read_known_hosts(path: str, host: str, address: str, port: int) -> HostKeys:
    """Read from a file in OpenSSH's format which keys a server may show."""
    import asyncssh

    field = "known_hosts_file"
    try:
        known = asyncssh.read_known_hosts(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PlatformMisconfigured(
            f"{field}: {path} cannot be read as a list of host keys: {reason}.", field=field
        ) from None
    keys, authorities, revoked, *_ = asyncssh.match_known_hosts(
        known, host, address, None if port == 22 else port
    )
    return HostKeys(keys=tuple(keys), authorities=tuple(authorities), revoked=tuple(revoked))


def read_private_key(text: str, path: str, passphrase: str) -> "asyncssh.SSHKey | None":
    """Read the key that logs in, from a field or from a file; None if there is neither."""
    import asyncssh

    if text and path:
        raise PlatformMisconfigured(
            "private_key: give either the key itself or private_key_file, not both.",
            field="private_key",
        )
    field = "private_key" if text else "private_key_file"
    content = text.encode() if text else _content(path)
    try:
        return asyncssh.import_private_key(content, passphrase or None) if content else None
    except (asyncssh.KeyEncryptionError, asyncssh.KeyImportError) as error:
        if isinstance(error, asyncssh.KeyEncryptionError) or _is_encrypted(content):
            raise PlatformMisconfigured(
                "passphrase: it does not open the private key.", field="passphrase"
            ) from None
        raise PlatformMisconfigured(
            f"{field}: this is no private key that OpenSSH or OpenSSL writes.", field=field
        ) from None


def _is_encrypted(content: bytes) -> bool:
    import asyncssh

    try:
        asyncssh.import_private_key(content)
    except asyncssh.KeyImportError as error:
        return "assphrase" in str(error)
    return False


def _content(path: str) -> bytes:
    if not path:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PlatformMisconfigured(
            f"private_key_file: {path} cannot be read: {error.strerror}.", field="private_key_file"
        ) from None
