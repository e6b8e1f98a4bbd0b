"""Files and folders of Google Drive by their names, which Drive itself knows by ids only."""

import time
from collections.abc import Callable
from typing import Any

from export_pipelines.errors import PlatformMisconfigured, PlatformRefused
from export_pipelines.platforms.gdrive_errors import (
    Account,
    client_errors,
    explained,
    is_passing,
    let_go,
    no_folder,
)

FIELDS = "id,name,mimeType,size,createdTime,modifiedTime,md5Checksum,sha256Checksum"
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""How many seconds short trouble is waited out, again and again."""

_FOLDER = "application/vnd.google-apps.folder"
_NO_CONTENT = "application/vnd.google-apps."
_PAGE = 1_000


class DriveFiles:
    """Google's client for the files of an account, with our errors.

    Attributes:
        api: the client's methods.
    """

    def __init__(self, api: Any, account: Account) -> None:
        self.api = api
        self._account = account
        drive_id = self._drive_id()
        self._corpus = {"corpora": "drive", "driveId": drive_id} if drive_id else {}

    def call(self, step: Callable[[], Any]) -> Any:
        """Take a step that may be taken twice, and wait out short trouble."""
        pauses = iter(PAUSES)
        while True:
            try:
                return step()
            except client_errors() as error:
                let_go(error)
                pause = next(pauses, None)
                if pause is None or not is_passing(error):
                    raise explained(error, self._account) from None
                time.sleep(pause)

    def folder(self, path: str, *, make: bool) -> str:
        """Return the id of a folder below the platform's, empty if it is not there."""
        folder = self._account.folder_id
        for name in filter(None, path.split("/")):
            below = self._oldest_folder(folder, name)
            if not below and not make:
                return ""
            folder = below or self._make(folder, name)
        return folder

    def newest(self, folder: str, name: str) -> Any:
        """Return the file of a name that was changed last, None if there is none."""
        found = self.named(folder, name)
        files = [item for item in found if is_file(item)]
        if found and not files:
            raise PlatformRefused(
                f"{name} on Google Drive is a folder or a Google document: rename or remove it."
            )
        return max(files, key=age, default=None)

    def named(self, folder: str, name: str) -> Any:
        """Return all that a folder has of a name."""
        quoted = name.replace("\\", "\\\\").replace("'", "\\'")
        found = self.children(folder, f" and name = '{quoted}'")
        return [item for item in found if item["name"] == name]

    def children(self, folder: str, condition: str = "") -> Any:
        """Return files and folders in a folder, on as many pages as they are."""
        request = self.api.list(
            q=f"'{folder}' in parents and trashed = false{condition}",
            pageSize=_PAGE,
            fields=f"nextPageToken,files({FIELDS})",
            supportsAllDrives=True,
            includeItemsFromAllDrives=True,
            **self._corpus,
        )
        found = []
        while request is not None:
            page = self.call(request.execute)
            found += page["files"]
            request = self.api.list_next(request, page)
        return found

    def remove(self, item: Any) -> None:
        """Put a file into the trash: only managers of a shared drive can delete it for good."""
        body = {"trashed": True}
        request = self.api.update(fileId=item["id"], body=body, supportsAllDrives=True)
        self.call(request.execute)

    def _oldest_folder(self, folder: str, name: str) -> str:
        found = [item for item in self.named(folder, name) if item["mimeType"] == _FOLDER]
        oldest = min(found, key=lambda item: (item["createdTime"], item["id"]), default=None)
        return str(oldest["id"]) if oldest else ""

    def _make(self, folder: str, name: str) -> str:
        body = {"name": name, "mimeType": _FOLDER, "parents": [folder]}
        request = self.api.create(body=body, fields="id", supportsAllDrives=True)
        # Only tried once: without an answer it may have been made, and a second would be another.
        made = self._try_once(request)
        oldest = self._oldest_folder(folder, name)
        if oldest and oldest != made["id"]:
            # Somebody else made it meanwhile.
            self.remove(made)
            return oldest
        return str(made["id"])

    def _drive_id(self) -> str:
        """Check the platform's folder; return the shared drive it lies in, empty for none."""
        from googleapiclient.errors import HttpError

        folder_id = self._account.folder_id
        fields = "mimeType,trashed,driveId"
        request = self.api.get(fileId=folder_id, fields=fields, supportsAllDrives=True)
        try:
            folder = request.execute()
        except client_errors() as error:
            let_go(error)
            if isinstance(error, HttpError) and error.resp.status == 404:
                raise no_folder(self._account) from None
            raise explained(error, self._account) from None
        if folder["mimeType"] != _FOLDER or folder["trashed"]:
            what = "in the trash" if folder["trashed"] else "a file, not a folder"
            raise PlatformMisconfigured(
                f"{folder_id} on Google Drive is {what}: correct folder_id.", field="folder_id"
            )
        return str(folder.get("driveId", ""))

    def _try_once(self, request: Any) -> Any:
        try:
            return request.execute()
        except client_errors() as error:
            let_go(error)
            raise explained(error, self._account) from None


def is_file(item: Any) -> bool:
    """Return whether it has bytes; folders, shortcuts and Google's own documents have none."""
    return not item["mimeType"].startswith(_NO_CONTENT)


def age(item: Any) -> tuple[str, str]:
    """Return what puts items in order, those changed last at the end."""
    return item["modifiedTime"], item["id"]
