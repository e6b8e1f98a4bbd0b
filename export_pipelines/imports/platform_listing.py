"""Lists folders on several platforms at the same time, in a bounded time."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from export_pipelines.errors import ExportPipelinesError
from export_pipelines.platforms.base import Platform, RemoteFile
from export_pipelines.platforms.configuration import open_platform

LOOK_SECONDS = 40
"""How long all platforms together may take to list their folders."""

SILENT_SECONDS = 10
"""How long a platform may be silent meanwhile, if its own configuration allows more."""

_PLATFORMS_AT_ONCE = 8


@dataclass(frozen=True)
class Listing:
    """What a look at a platform has found.

    Attributes:
        reached: whether the platform can be used at all.
        files: the files of each folder that could be listed.
        errors: why others could not, in sentences.
    """

    reached: bool
    files: Mapping[str, Sequence[RemoteFile]] = field(default_factory=dict)
    errors: tuple[str, ...] = ()


def list_folders(folders: Mapping[str, Collection[str]]) -> dict[str, Listing]:
    """List folders on platforms, all platforms at the same time.

    Args:
        folders: folders by the names of their platforms.
    """
    executor = ThreadPoolExecutor(_PLATFORMS_AT_ONCE, thread_name_prefix="platform")
    looks = {name: executor.submit(_list, name, wanted) for name, wanted in folders.items()}
    wait(looks.values(), LOOK_SECONDS)
    executor.shutdown(wait=False, cancel_futures=True)
    return {name: _found(name, look) for name, look in looks.items()}


def _found(name: str, look: "Future[Listing]") -> Listing:
    if look.cancelled() or not look.done():
        sentence = f"{name}: its folders could not be listed in {LOOK_SECONDS} seconds."
        return Listing(reached=False, errors=(sentence,))
    return look.result()


def _list(name: str, folders: Collection[str]) -> Listing:
    files: dict[str, Sequence[RemoteFile]] = {}
    errors: list[str] = []
    try:
        with _impatient(open_platform(name)).connect() as connection:
            for folder in sorted(folders):
                try:
                    files[folder] = connection.list(folder)
                except ExportPipelinesError as error:
                    errors.append(f"{name}/{folder}: {error}")
    except ExportPipelinesError as error:
        return Listing(reached=False, errors=(f"{name}: {error}",))
    return Listing(reached=True, files=files, errors=tuple(errors))


def _impatient(platform: Platform) -> Platform:
    seconds = min(platform.timeout_seconds, SILENT_SECONDS)
    values = {name: getattr(platform, name) for name in type(platform).model_fields}
    return type(platform)(**{**values, "timeout_seconds": seconds})
