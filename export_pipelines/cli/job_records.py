"""Jobs of the local home folder, as they are recorded there."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export_pipelines.cli.job_downloads import Job
from export_pipelines.errors import NotRegistered, RequestError, one_of, shown

if TYPE_CHECKING:
    import dagster as dg

_PAGE = 100
_IDS = 1_000
_ID_CHARACTERS = 36
_FEWEST_CHARACTERS = 6
_NAMED = 5


class LocalJobs:
    """All jobs of the home folder, whoever's they are."""

    def __init__(self, instance: "dg.DagsterInstance") -> None:
        """Name the records.

        Args:
            instance: where runs are recorded.
        """
        self._instance = instance

    def listed(
        self, kind: str, filters: Mapping[str, str], limit: int | None
    ) -> Iterator[dict[str, Any]]:
        """Yield jobs of a kind, the newest first, a page at a time; None for no limit."""
        from export_pipelines.runs.listing import page
        from export_pipelines.runs.views import view

        wanted = _wanted(kind, filters)
        size, cursor = min(limit or _PAGE, _PAGE), None
        while True:
            records, cursor = page(self._instance, wanted, size, cursor)
            for record in records:
                yield view(self._instance, record).model_dump(mode="json")
            if cursor is None:
                return

    def find(self, job_id: str) -> dict[str, Any]:
        """Return a job, an export or an import.

        Args:
            job_id: its id, or the beginning of it, of 6 characters or more.

        Raises:
            RequestError: it is too short, or several begin so.
            NotRegistered: there is none.
        """
        from export_pipelines.runs.listing import find
        from export_pipelines.runs.views import view

        record = find(self._instance, self._whole(job_id), None)
        return view(self._instance, record).model_dump(mode="json")

    def cancel(self, job: Job) -> dict[str, Any]:
        """Cancel a job, and return it as it is then: one at work ends a moment later."""
        from export_pipelines.runs.control import cancel

        return self.find(cancel(self._instance, job["id"]).run_id)

    def resume(self, job: Job) -> dict[str, Any]:
        """Go on with a job that failed, in this process, and return the new one when it ended."""
        from export_pipelines.runs.control import resume

        return self.find(resume(self._instance, job["id"]).run_id)

    def fetch(self, job: Job, file: Mapping[str, Any], partial: Path) -> None:
        """Write a file of an export, from its store.

        Raises:
            StorageUnavailable: it is not there any more, or was changed.
            PlatformError: the store is a platform that fails.
        """
        from export_pipelines.runs.files import find_download
        from export_pipelines.runs.views import ExportJob

        download = find_download(ExportJob.model_validate(job), file["name"])
        with download.open_file(download.files[0]) as source, partial.open("wb") as target:
            shutil.copyfileobj(source, target)

    def _whole(self, job_id: str) -> str:
        if len(job_id) >= _ID_CHARACTERS:
            return job_id
        if len(job_id) < _FEWEST_CHARACTERS:
            raise RequestError(
                f"{shown(job_id)} is too short: give at least the first {_FEWEST_CHARACTERS} "
                "characters of a job's id."
            )
        found = [run_id for run_id in self._ids() if run_id.startswith(job_id)]
        if len(found) > 1:
            named = one_of(found[:_NAMED])
            raise RequestError(f"{len(found)} begin with {shown(job_id)}, such as {named}.")
        if not found:
            raise NotRegistered(f"There is no job {shown(job_id)}.")
        return found[0]

    def _ids(self) -> Iterator[str]:
        cursor: str | None = None
        while ids := self._instance.get_run_ids(cursor=cursor, limit=_IDS):
            yield from ids
            cursor = ids[-1]


def _wanted(kind: str, filters: Mapping[str, str]) -> Any:
    """Return which jobs are listed, by the names of the API's parameters."""
    from datetime import datetime

    from export_pipelines.limits import FORMAT_TAG
    from export_pipelines.runs.listing import Wanted
    from export_pipelines.runs.views import run_statuses

    names = {"format": FORMAT_TAG, "resource_type": f"{kind}/resource_type"}
    moments = {
        name: datetime.fromisoformat(filters[name].replace("Z", "+00:00"))
        for name in ("created_from", "created_to")
        if name in filters
    }
    return Wanted(
        None,
        kind,
        {names[name]: value for name, value in filters.items() if name in names},
        run_statuses(filters["status"]) if "status" in filters else (),
        **moments,
    )
