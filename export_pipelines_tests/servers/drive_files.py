"""The files of an emulated Google Drive, and what its API allows with them; no network.

Parameters and fields are held against the discovery document that Google's client ships. What it
does not know, and what is not emulated, is refused and noted as a complaint.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import googleapiclient

FOLDER = "application/vnd.google-apps.folder"
ROLES = ("reader", "writer", "fileOrganizer", "organizer")
"""Each may do what those before it may: read, write, put into the trash, delete for good."""

_DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
_DOCUMENT = json.loads((_DOCUMENTS / "drive.v3.json").read_text(encoding="utf-8"))
_METHODS = _DOCUMENT["resources"]["files"]["methods"]
_SHOWN = {"kind", "id", "name", "mimeType"}
_WRITABLE = {"name", "mimeType", "parents", "trashed", "modifiedTime", "createdTime", "description"}
_PAGE = 3
_TOKEN = re.compile(r"\s*(?:'((?:[^'\\]|\\.)*)'|(!=|[=()]|\w+))")

Tree = dict[str, Any]
Test = Callable[["Item"], bool]


class DriveError(Exception):
    """An answer that is no success: its status, Google's reason, and a sentence."""

    def __init__(self, status: int, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.status = status
        self.reason = reason


@dataclass
class Item:
    """A file or folder; `root` is the shared drive or the person's folder that it lies in."""

    root: str
    values: dict[str, Any]
    path: Path | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.values["id"])


@dataclass
class Files:
    """What is in all drives; `roles` tells what each account may do below each root.

    Attributes:
        free: bytes that may still be stored.
        without_storage: accounts that may own no content, as service accounts.
        damaged: how many of the next contents are stored with other bytes.
        checksums: which ones files have.
        complaints: what clients sent that Google would refuse or that is not emulated.
    """

    roles: dict[str, dict[str, str]] = field(default_factory=dict)
    free: int = 1 << 40
    without_storage: set[str] = field(default_factory=set)
    damaged: int = 0
    checksums: tuple[str, ...] = ("md5", "sha1", "sha256")
    complaints: list[str] = field(default_factory=list)
    items: dict[str, Item] = field(default_factory=dict)

    def refuse(self, message: str) -> DriveError:
        """Note a complaint, and return its answer."""
        self.complaints.append(message)
        return DriveError(400, "invalid", message)

    def add_root(self, name: str, roles: dict[str, str], *, shared_drive: bool) -> str:
        """Add a shared drive, or a folder in the drive of a person who shares it."""
        root = secrets.token_urlsafe(15)
        self.roles[root] = roles
        drive = {"driveId": root} if shared_drive else {}
        self.items[root] = Item(root, _values(root, name=name, mimeType=FOLDER, **drive))
        return root

    def check(self, method: str, query: Mapping[str, str]) -> None:
        """Refuse parameters that the method does not have, or of a wrong type."""
        known = {**_DOCUMENT["parameters"], **_METHODS[method]["parameters"]}
        for name, value in query.items():
            kind = known.get(name, {}).get("type")
            boolean = kind != "boolean" or value in ("true", "false")
            if kind is None or not boolean or (kind == "integer" and not value.isdigit()):
                raise self.refuse(f"{method} has no parameter {name} of {value!r}")

    def find(self, account: str, file_id: str, role: str, query: Mapping[str, str]) -> Item:
        """Return a file on which an account has a role."""
        item = self.items.get(file_id)
        unseen = item and "driveId" in item.values and query.get("supportsAllDrives") != "true"
        # Google serves contents even to clients that do not know of shared drives.
        if unseen and query.get("alt") != "media":
            item = None
        held = self.roles[item.root].get(account) if item else None
        if item is None or held is None:
            raise DriveError(404, "notFound", f"File not found: {file_id}.")
        if ROLES.index(held) < ROLES.index(role):
            raise DriveError(403, "insufficientFilePermissions", "Insufficient permissions.")
        return item

    def list(self, account: str, query: Mapping[str, str]) -> Any:
        """Answer files.list, a few at a time."""
        self.check("list", query)
        all_drives = {query.get("supportsAllDrives"), query.get("includeItemsFromAllDrives")}
        corpora = query.get("corpora", "user")
        if corpora == "drive" and (all_drives != {"true"} or "driveId" not in query):
            raise self.refuse("corpora=drive needs driveId and both parameters for all drives")
        if corpora not in ("user", "drive") or "orderBy" in query:
            raise self.refuse(f"not emulated: {dict(query)}")
        matches = Query(query.get("q", ""), self).test
        found = [
            item
            for item in self.items.values()
            if account in self.roles[item.root]
            and ("driveId" not in item.values or all_drives == {"true"})
            and (corpora == "user" or item.values.get("driveId") == query["driveId"])
            and matches(item)
        ]
        start = int(query.get("pageToken", "0"))
        end = start + min(_PAGE, int(query.get("pageSize", "100")))
        shown = [item.values for item in found[start:end]]
        page: Tree = {"kind": "drive#fileList", "incompleteSearch": False, "files": shown}
        if end < len(found):
            page["nextPageToken"] = str(end)
        return self.shown(page, query, "FileList")

    def write(
        self, account: str, file_id: str, body: Mapping[str, Any], query: Mapping[str, str]
    ) -> tuple[Item, dict[str, Any]]:
        """Check a create or update, and return the item with its new values; nothing changes."""
        self.check("update" if file_id else "create", query)
        if unknown := set(body) - _WRITABLE:
            raise self.refuse(f"not a writable field, or not emulated: {unknown}")
        if not file_id:
            parents = body.get("parents", [])
            if len(parents) != 1:
                raise self.refuse(f"not emulated: {len(parents)} parents")
            parent = self.find(account, parents[0], "writer", query)
            drive = {name: parent.values[name] for name in parent.values if name == "driveId"}
            values = _values(secrets.token_urlsafe(24), **{"mimeType": ""}, **drive)
            return Item(parent.root, values), {**body}
        role = "fileOrganizer" if "trashed" in body else "writer"
        item = self.find(account, file_id, role, query)
        if "parents" in body or {"addParents", "removeParents"} & set(query):
            raise self.refuse("parents of an existing file cannot be written, or not emulated")
        return item, {**body}

    def room(self, account: str, item: Item, size: int) -> None:
        """Refuse content for which there is no room."""
        homeless = "driveId" not in item.values and account in self.without_storage
        if homeless or size > self.free:
            raise DriveError(403, "storageQuotaExceeded", "The storage quota has been exceeded.")

    def commit(self, item: Item, values: Mapping[str, Any], content: Path | None = None) -> None:
        """Make a checked write visible, with content or without."""
        item.values.update({"modifiedTime": _now(), **values})
        if content is not None:
            data = content.read_bytes()
            if self.damaged:
                self.damaged -= 1
                data = data[:-1] + bytes([data[-1] ^ 1])
                content.write_bytes(data)
            item.path = content
            item.values["size"] = str(len(data))
            for name in self.checksums:
                item.values[f"{name}Checksum"] = hashlib.new(name, data).hexdigest()
            self.free -= len(data)
        self.items[item.id] = item

    def shown(self, value: Any, query: Mapping[str, str], schema: str = "File") -> Any:
        """Return the part of an answer that `fields` asks for."""
        if "fields" in query:
            tree = self._fields(iter(re.findall(r"[\w*]+|[(),/]", query["fields"])))
        elif schema == "FileList":
            tree = {"kind": {}, "incompleteSearch": {}, "nextPageToken": {}}
            tree["files"] = {name: {} for name in _SHOWN}
        else:
            tree = {name: {} for name in _SHOWN}
        return self._pruned(value, tree, _DOCUMENT["schemas"][schema])

    def _fields(self, tokens: Iterator[str]) -> Tree:
        tree: Tree = {}
        path = [tree]
        name = ""
        for token in tokens:
            if token == "(":
                path[-1][name] = self._fields(tokens)
            elif token == ")":
                break
            elif token == ",":
                path = [tree]
            elif token == "/":
                path.append(path[-1][name])
            else:
                name = token
                path[-1][name] = {}
        return tree

    def _pruned(self, value: Any, tree: Tree, schema: Tree) -> Any:
        if isinstance(value, list) and "items" in schema:
            return [self._pruned(one, tree, schema["items"]) for one in value]
        schema = _DOCUMENT["schemas"][schema["$ref"]] if "$ref" in schema else schema
        if not tree or "*" in tree or not isinstance(value, dict):
            return value
        known = schema.get("properties", {})
        if unknown := set(tree) - set(known):
            raise self.refuse(f"fields names what is not there: {unknown}")
        kept = [name for name in tree if name in value]
        return {name: self._pruned(value[name], tree[name], known[name]) for name in kept}


class Query:
    """The `q` of files.list, with as much of its grammar as our client and rclone speak."""

    def __init__(self, text: str, files: Files) -> None:
        self._refuse = files.refuse
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        end = 0
        while text[end:].strip():
            found = _TOKEN.match(text, end)
            if found is None:
                raise self._refuse(f"q is not understood: {text}")
            quoted = re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else ""
            self._tokens.append((quoted, found[2] or "'"))
            end = found.end()
        self.test: Test = self._any() if self._tokens else lambda item: True
        if self._tokens:
            raise self._refuse(f"q goes on after its end: {text}")

    def _next(self, *kinds: str) -> str:
        if not self._tokens or (kinds and self._tokens[0][1] not in kinds):
            raise self._refuse(f"q is not understood: {self._text}")
        quoted, kind = self._tokens.pop(0)
        return quoted if kind == "'" else kind

    def _has(self, kind: str) -> bool:
        return bool(self._tokens) and self._tokens[0][1] == kind

    def _any(self) -> Test:
        tests = [self._all()]
        while self._has("or"):
            self._next()
            tests.append(self._all())
        return lambda item: any(test(item) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._has("and"):
            self._next()
            tests.append(self._one())
        return lambda item: all(test(item) for test in tests)

    def _one(self) -> Test:
        if self._has("("):
            self._next()
            inner = self._any()
            self._next(")")
            return inner
        if self._has("'"):
            parent = self._next()
            self._next("in")
            self._next("parents")
            return lambda item: parent in item.values["parents"]
        name = self._next("name", "mimeType", "trashed")
        equal = self._next("=", "!=") == "="
        if name == "trashed":
            wanted = self._next("true", "false") == "true"
            return lambda item: (item.values[name] == wanted) == equal
        text = self._next("'")
        # Google finds names in any case; clients must compare for themselves.
        return lambda item: (item.values[name].lower() == text.lower()) == equal


def _values(file_id: str, **values: Any) -> dict[str, Any]:
    fixed = {"kind": "drive#file", "id": file_id, "trashed": False, "parents": []}
    return {**fixed, "createdTime": _now(), "modifiedTime": _now(), **values}


def _now() -> str:
    return f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
