"""Secrets of platforms and of this project's own are nowhere in clear: a search for each.

It takes a minute or two: a run tries the platforms that do not answer again and again.
"""

import json
import shutil
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

from export_pipelines.catalog.sample import generate
from export_pipelines.config_types import is_secret
from export_pipelines.platforms import PLATFORMS
from export_pipelines.registry.secrets import decrypt
from export_pipelines.registry.signing import signing_keys
from export_pipelines.server_environment import SERVER_TOKEN
from export_pipelines_tests.api.keys import make_key
from export_pipelines_tests.command_line import Program
from export_pipelines_tests.killing import processes_of
from export_pipelines_tests.planted_secrets import (
    REQUIRED,
    SECRET_FIELDS,
    ProcessArguments,
    contents,
    forms,
    found_in,
    make_secret,
)
from export_pipelines_tests.servers.sftp import SftpServer, run_asyncssh
from export_pipelines_tests.webhooks.registered import register
from export_pipelines_tests.webserver import Ask, launch, start_webserver, wait

pytestmark = pytest.mark.timeout(600)

HOOKS = {"EXPORT_PIPELINES_WEBHOOK_HOSTS": "127.0.0.1"}
RUNS = """
{
  runsOrError {
    ... on Runs {
      results {
        runId status runConfigYaml runConfig
        tags { key value }
        stepStats { stepKey status }
        assetMaterializations { metadataEntries { label ...Entry } }
        eventConnection(limit: 1000) {
          events {
            __typename
            ... on MessageEvent { message eventType }
            ... on DisplayableEvent { label description metadataEntries { label ...Entry } }
            ... on ErrorEvent { error { ...Failure cause { ...Failure } } }
            ... on ExecutionStepFailureEvent { failureMetadata { metadataEntries { ...Entry } } }
          }
        }
      }
    }
  }
  schedulesOrError(repositorySelector: {
    repositoryLocationName: "export_pipelines", repositoryName: "__repository__"
  }) {
    ... on Schedules {
      results {
        name description cronSchedule
        metadataEntries { label ...Entry }
        scheduleState { status ticks { status runIds error { ...Failure } } }
      }
    }
  }
}

fragment Failure on PythonError { message stack className }

fragment Entry on MetadataEntry {
  ... on TextMetadataEntry { text }
  ... on JsonMetadataEntry { jsonString }
  ... on PathMetadataEntry { path }
  ... on TableMetadataEntry { table { records } }
}
"""


@dataclass(frozen=True, repr=False)
class Evidence:
    """All that was left and seen.

    Attributes:
        program: the command line at the home folder, with what it said.
        planted: secrets by the platform and field that they were given to, or by what they are.
        file: what was applied.
        variables: those that it takes secrets from.
        run: the run that delivered to all.
        running: files of the home folder while servers ran.
        answers: of GraphQL and the API.
        arguments: of all processes, by number.
    """

    program: Program
    planted: dict[str, str]
    file: Path
    variables: dict[str, str]
    run: Any
    running: dict[str, bytes]
    answers: dict[str, bytes]
    arguments: dict[str, bytes]


class Planting:
    """Registers platforms with new secrets, in each of the ways there are."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.planted: dict[str, str] = {}

    def secrets_of(self, kind: str, name: str) -> dict[str, str]:
        made = {each: make_secret(each) for each in SECRET_FIELDS[kind]}
        self.planted |= {f"{name}.{each}": secret for each, secret in made.items()}
        return made

    def by_input(self, kind: str) -> str:
        """Register with lines of the standard input, or files where there are more lines."""
        name = f"{kind} by input"
        options, lines = [], ""
        for each, secret in self.secrets_of(kind, name).items():
            if each in ("private_key", "credentials"):
                path = self.folder / f"{kind}.{each}"
                path.write_text(f"{secret}\n", encoding="utf-8")
                options.append(f"--secret-file={each}={path}")
            else:
                options.append(f"--secret={each}")
                lines += f"{secret}\n"
        self.program.run("platforms", "add", name, kind, *fields_of(kind), *options, given=lines)
        return name

    def by_reference(self, kind: str, variables: dict[str, str]) -> str:
        """Register names of variables, which are set wherever platforms are opened."""
        name = f"{kind} by reference"
        options = []
        for each, secret in self.secrets_of(kind, name).items():
            variable = f"REFERENCE_{kind}_{each}".upper()
            variables[variable] = secret
            options.append(f"--env={each}={variable}")
        self.program.run_here("platforms", "add", name, kind, *fields_of(kind), *options)
        return name

    def by_file(self) -> tuple[Path, dict[str, str]]:
        """Apply a file, and return it with the variables that only that command has."""
        variables: dict[str, str] = {}
        written: dict[str, Any] = {}
        for kind in SECRET_FIELDS:
            name = f"{kind} by file"
            names = {each: f"FILE_{kind}_{each}".upper() for each in SECRET_FIELDS[kind]}
            for each, secret in self.secrets_of(kind, name).items():
                variables[names[each]] = secret
            asked = {each: f"${{{variable}}}" for each, variable in names.items()}
            written[name] = {kind: {**REQUIRED[kind], **asked}}
        path = self.folder / "registry.yaml"
        path.write_text(yaml.safe_dump({"platforms": written}), encoding="utf-8")
        self.program.run("registry", "apply", "-f", path, **variables)
        return path, variables


def fields_of(kind: str) -> list[str]:
    return [f"--set={name}={value}" for name, value in REQUIRED[kind].items()]


def add_reachable(planting: Planting, server: SftpServer) -> list[str]:
    """Register a folder and an SFTP server, which is logged in at by password and by key."""
    (planting.folder / "nas").mkdir()
    program = planting.program
    program.run_here("platforms", "add", "nas", "local", f"--set=folder={planting.folder / 'nas'}")
    login = server.platform
    fields = [
        f"--set={name}={value}"
        for name, value in {
            "host": login.host,
            "port": login.port,
            "username": login.username,
            "host_key": server.host_key,
        }.items()
    ]
    add = ("platforms", "add")
    program.run_here(
        *add, "by password", "sftp", *fields, "--secret=password", given=f"{server.password}\n"
    )
    program.run_here(
        *add, "by key", "sftp", *fields, "--set=subfolder=key",
        f"--secret-file=private_key={server.key_file}",
    )  # fmt: skip
    planting.planted["by password.password"] = server.password
    planting.planted["by key.private_key"] = server.key_file.read_text()
    return ["nas", "by password", "by key"]


def issue(planting: Planting) -> str:
    """Have this project make secrets of its own, and return the API key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPORT_PIPELINES_HOME", str(planting.program.home))
        key = make_key("admin")
        webhook = register("http://127.0.0.1:1/hook")
        planting.planted["API key"] = key
        planting.planted["webhook"] = decrypt(webhook)["secret"]
        planting.planted["signing key"] = signing_keys()[0].hex()
    return key


def server_token(home: Path) -> str:
    """Return what the process that started the web server shows instead of a key."""
    places = [Path(f"/proc/{pid}/environ").read_text() for pid in processes_of(home)]
    variables = [each for place in places for each in place.split("\0")]
    [token] = {each for each in variables if each.startswith(f"{SERVER_TOKEN}=")}
    return token.partition("=")[2]


def shown_job(ask: Ask, run_id: str) -> bytes:
    """Return a job as the API answers it, with links that are signed."""
    headers = {"Authorization": f"Bearer {ask.key}"}
    with urlopen(Request(f"{ask.address}/api/v1/exports/jobs/{run_id}", headers=headers)) as answer:
        content: bytes = answer.read()
    return content


def look_around(program: Program, names: list[str], variables: Mapping[str, str]) -> None:
    """Run what shows platforms, and what fails at them."""
    for name in names:
        program.run_here("platforms", "show", name)
        program.run_here("platforms", "show", name, "--json")
        code, _, _ = program.try_here("platforms", "check", name)
        assert code in (8, 9), (name, code)
    for command in ("platforms", "profiles", "schedules"):
        program.run_here(command, "list")
    for words in (["webhooks", "list"], ["webhooks", "show", "crm"], ["keys", "list"]):
        program.run_here(*words)
    program.run_here("registry", "export")
    program.run_here("registry", "export", "-f", program.home / "exported.yaml")
    assert program.try_here("export", "csv", "--platform", names[0] + "?")[0] == 9
    broken = {name: f"{value}\n" for name, value in variables.items()}
    file = program.home / "exported.yaml"
    assert program.try_here("registry", "apply", "-f", file, **broken)[0] in (2, 9)
    wrong = ("platforms", "add", "wrong", "ftp", "--set=host=h", "--secret=password")
    given = "".join(f"{value}\n" for value in variables.values())
    assert program.try_here(*wrong, "--set=port=x", given=given)[0] == 9


def deliver(ask: Ask, names: list[str]) -> Any:
    """Export to all of some platforms, one of them written out, and return the run."""
    password = {"env": "REFERENCE_FTP_PASSWORD"}
    written = {"ftp": {**REQUIRED["ftp"], "port": 1, "password": password}}
    return launch(ask, "export_csv", resource_type="suppliers", platforms=[*names, written])


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evidence]:
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("secrets")
    generate(f"sqlite:///{home / 'shop.db'}", products=50)
    referenced: dict[str, str] = {}
    program = Program(home, referenced)
    planting = Planting(program, folder)
    kept = tmp_path_factory.mktemp("server")
    with ProcessArguments() as arguments, run_asyncssh(kept) as server:
        reached = add_reachable(planting, server)
        by_input = [planting.by_input(kind) for kind in SECRET_FIELDS]
        by_reference = [planting.by_reference(kind, referenced) for kind in SECRET_FIELDS]
        file, variables = planting.by_file()
        program.run_here("profiles", "add", "csv", "weekly", "suppliers", "--platform", "nas")
        program.run_here("schedules", "add", "Mondays", "--cron", "@weekly", "--profile", "weekly")
        key = issue(planting)
        with start_webserver(home, key, **referenced, **HOOKS) as ask:
            planting.planted["server token"] = server_token(home)
            run = deliver(ask, [*reached, *by_input])
            look_around(program, [*by_input, *by_reference], variables)
            ended = wait(ask, run["runId"])
            answers = {"GraphQL": json.dumps(ask(RUNS), ensure_ascii=False).encode()}
            answers["API"] = shown_job(ask, run["runId"])
            running = contents(home)
        delivered = {path.name for path in server.directory.rglob("*") if path.is_file()}
        assert delivered == {"suppliers.csv", "suppliers.csv.manifest.json"}
        seen = {str(number): each for number, each in enumerate(arguments.seen)}
        yield Evidence(program, planting.planted, file, variables, ended, running, answers, seen)


def test_every_secret_of_every_platform_is_planted(evidence: Evidence) -> None:
    fields = {
        kind: tuple(sorted(name for name, each in platform.model_fields.items() if is_secret(each)))
        for kind, platform in PLATFORMS.items()
    }
    assert fields == {"local": (), **SECRET_FIELDS}
    assert len(set(evidence.planted.values())) == len(evidence.planted) == 32 + 4


def test_the_search_finds_a_secret_in_every_form(evidence: Evidence) -> None:
    for name, secret in evidence.planted.items():
        for form in forms(secret):
            assert found_in({name: secret}, {"there": b"before " + form + b" after"})
        encoded = secret.encode()
        for before in (b"", b"a", b"ab"):
            assert found_in({name: secret}, {"there": b64encode(before + encoded + b"ab")})
    assert found_in(evidence.planted, {"there": b"nothing of that kind"}) == []


def test_the_reachable_got_the_file_and_the_others_failed(evidence: Evidence) -> None:
    assert evidence.run["status"] == "FAILURE"
    assert evidence.run["tags"]["export/error"]
    steps = {each["stepKey"]: each["status"] for each in evidence.run["stepStats"]}
    arrived = {key for key, status in steps.items() if status == "SUCCESS"}
    assert {"deliver[nas]", "deliver[by_password]", "deliver[by_key]"} <= arrived
    failed = {key for key, status in steps.items() if status == "FAILURE"}
    assert failed == {"deliver[ftp]", *(f"deliver[{kind}_by_input]" for kind in SECRET_FIELDS)}


def test_the_webhook_was_tried(evidence: Evidence) -> None:
    said = evidence.program.run_here("webhooks", "deliveries", "crm")
    assert "It refuses connections." in said


def test_no_secret_is_in_a_file(evidence: Evidence) -> None:
    after = contents(evidence.program.home)
    for places in (evidence.running, after):
        names = " ".join(places)
        for part in ("registry.db", "registry.key", "dagster", "log", "staging", "storage"):
            assert part in names
        assert found_in(evidence.planted, places) == []


def test_no_secret_is_in_what_was_said(evidence: Evidence) -> None:
    said = {str(number): text.encode() for number, text in enumerate(evidence.program.said) if text}
    assert len(said) > 50
    assert found_in(evidence.planted, said) == []


def test_no_secret_is_in_an_answer(evidence: Evidence) -> None:
    answer = evidence.answers["GraphQL"]
    for part in ("REFERENCE_FTP_PASSWORD", "mondays_schedule", "RunFailureEvent", "by_password"):
        assert part.encode() in answer
    assert found_in(evidence.planted, evidence.answers) == []


def test_no_secret_is_in_the_arguments_of_a_process(evidence: Evidence) -> None:
    joined = b"\n".join(evidence.arguments.values())
    for part in (
        b"export_pipelines\0serve",
        b"platforms\0add",
        b"registry\0apply",
        b"_daemon\0run",
    ):
        assert part in joined
    assert b"multiprocessing" in joined
    assert found_in(evidence.planted, evidence.arguments) == []


@contextmanager
def moved_away(path: Path, folder: Path) -> Iterator[None]:
    shutil.move(path, folder / path.name)
    try:
        yield
    finally:
        shutil.move(folder / path.name, path)


def test_without_the_key_all_says_so_and_nothing_is_written(
    evidence: Evidence, tmp_path: Path
) -> None:
    program = evidence.program
    key, database = program.home / "registry.key", program.home / "registry.db"
    sentence = (
        f"Error: The key of the registry's secrets is gone: there is no {key}, and "
        "EXPORT_PIPELINES_SECRET_KEY is not set. Put the file or the variable back; without it, "
        "remove the platforms and webhooks and register them again.\n"
    )
    before = database.read_bytes()
    with moved_away(key, tmp_path):
        for command in (
            ("platforms", "add", "new", "ftp", "--set=host=h", "--secret=password"),
            ("platforms", "set", "by password", "--set=port=22"),
            ("platforms", "check", "by password"),
            ("registry", "rotate-key"),
            ("registry", "apply", "-f", str(evidence.file)),
            ("export", "csv", "suppliers", "--platform", "by password"),
        ):
            given = "another secret\n"
            answer = program.try_here(*command, given=given, **evidence.variables)
            assert answer == (14, "", sentence), command
        assert "by password" in program.run_here("platforms", "list")
        assert not key.exists()
        assert database.read_bytes() == before
        assert not any(path.stat().st_size for path in program.home.glob("registry.db-wal"))
    assert program.run_here("platforms", "check", "by password").count(" passed ") == 5


def test_after_a_rotation_the_old_key_alone_reads_nothing(evidence: Evidence) -> None:
    program = evidence.program
    key = program.home / "registry.key"
    old = key.read_text()
    assert program.run_here("registry", "rotate-key").startswith(
        "Encrypted anew: the secrets of 13 "
    )
    assert program.run_here("platforms", "check", "by password").count(" passed ") == 5
    new = key.read_text()
    key.write_text(old)
    code, _, error = program.try_here("platforms", "check", "by password")
    assert code == 14
    assert error.startswith("Error: The secrets of the registry cannot be read with the key in ")
    key.write_text(new)
    assert program.run_here("platforms", "check", "by key").count(" passed ") == 5
    assert found_in(evidence.planted, contents(program.home)) == []
