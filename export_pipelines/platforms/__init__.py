"""Remote and local destinations of finished exports: one file and one line here for each."""

from export_pipelines.platforms.base import Platform
from export_pipelines.platforms.ftp import Ftp
from export_pipelines.platforms.gdrive import Gdrive
from export_pipelines.platforms.local import Local
from export_pipelines.platforms.minio import Minio
from export_pipelines.platforms.s3 import S3
from export_pipelines.platforms.sftp import Sftp

PLATFORMS: dict[str, type[Platform]] = {
    "ftp": Ftp,
    "gdrive": Gdrive,
    "local": Local,
    "minio": Minio,
    "s3": S3,
    "sftp": Sftp,
}
