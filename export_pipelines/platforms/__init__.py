"""Remote and local destinations of finished exports: one file and one line here for each."""

from export_pipelines.platforms.base import Platform
from export_pipelines.platforms.local import Local

PLATFORMS: dict[str, type[Platform]] = {
    "local": Local,
}
