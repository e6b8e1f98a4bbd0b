"""ZIP: a very large catalogue as CSV files of a bounded number of rows in one archive."""

from export_pipelines.formats.csv import CsvFormat


class ZipFormat(CsvFormat):
    """CSV files in one ZIP archive; the `compress` op makes the archive."""

    name = "zip"
    title = "ZIP of CSV files"
    compressions: tuple[str, ...] = ("zip",)
    default_max_rows_per_file = 30_000
