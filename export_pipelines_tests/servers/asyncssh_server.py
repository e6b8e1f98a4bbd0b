"""An SFTP server as a program: `asyncssh_server.py PORT FOLDER HOST_KEY AUTHORIZED_KEYS`.

It shows FOLDER as `/`. The environment has USERNAME and PASSWORD, and perhaps MAX_FILE_BYTES,
beyond which the system refuses to write as it does on a full disk.
"""

import asyncio
import os
import resource
import sys

import asyncssh


class _Server(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (os.environ["USERNAME"], os.environ["PASSWORD"])


async def _serve(port: str, folder: str, host_key: str, authorized_keys: str) -> None:
    def chroot(channel: "asyncssh.SSHServerChannel[bytes]") -> asyncssh.SFTPServer:
        return asyncssh.SFTPServer(channel, chroot=os.fsencode(folder))

    await asyncssh.listen(
        "127.0.0.1",
        int(port),
        server_factory=_Server,
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
        sftp_factory=chroot,
    )
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    limit = int(os.environ.get("MAX_FILE_BYTES", resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    asyncio.run(_serve(*sys.argv[1:]))
