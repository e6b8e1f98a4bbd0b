import errno

import pytest

from export_pipelines.errors import (
    CatalogUnavailable,
    DataError,
    ExportPipelinesError,
    Interrupted,
    KeyUnavailable,
    NameTaken,
    NoRecords,
    NotRegistered,
    RegistryUnavailable,
    RequestError,
    StorageUnavailable,
    TooManyExports,
    WorkerLost,
    one_of,
    shown,
    storage_error,
    unknown,
)


def test_codes_and_exit_codes_are_stable() -> None:
    kinds = (
        ExportPipelinesError,
        RequestError,
        NoRecords,
        DataError,
        CatalogUnavailable,
        StorageUnavailable,
        TooManyExports,
        NameTaken,
        NotRegistered,
        WorkerLost,
        RegistryUnavailable,
        KeyUnavailable,
        Interrupted,
    )
    assert {kind.code: kind.exit_code for kind in kinds} == {
        "failed": 1,
        "request_invalid": 2,
        "no_records": 3,
        "catalog_unavailable": 4,
        "storage_unavailable": 5,
        "data_invalid": 6,
        "too_many_exports": 7,
        "name_taken": 2,
        "not_registered": 2,
        "worker_lost": 12,
        "registry_unavailable": 13,
        "key_unavailable": 14,
        "interrupted": 130,
    }
    assert all(issubclass(kind, ExportPipelinesError) for kind in kinds)
    assert issubclass(NoRecords, RequestError)


def test_names_end_a_sentence() -> None:
    assert one_of(["a"]) == "a"
    assert one_of(("a", "b")) == "a and b"
    assert one_of(["a", "b", "c"]) == "a, b and c"


def test_unknown_names_come_with_the_nearest_and_all() -> None:
    assert unknown("field", "skuu", ["sku", "ean", "skus"]) == (
        "There is no field 'skuu'. Did you mean sku or skus? Choose from sku, ean and skus."
    )
    assert unknown("field", "zzz", ["sku", "ean"]) == (
        "There is no field 'zzz'. Choose from sku and ean."
    )


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "\x1b[31m", "\ud800"])
def test_quoted_names_cannot_spoil_a_sentence(name: str) -> None:
    sentence = unknown("field", name, ["sku"])
    sentence.encode()
    assert sentence.isprintable()


def test_long_values_are_shortened() -> None:
    assert shown("x" * 98) == repr("x" * 98)
    assert shown("x" * 5000) == "'" + "x" * 99 + "…"
    assert len(unknown("field", "x" * 5000, ["sku"])) < 200


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named(number: int) -> None:
    plain = storage_error(OSError(number, "words", "/staging/x"))
    assert str(plain) == (
        "The disk is full at /staging/x: make room in the staging area and the export store. "
        "Nothing was published."
    )
    arrow = OSError(f"[Errno {number}] Error writing bytes. Detail: [errno {number}] words")
    assert str(storage_error(arrow)).startswith("The disk is full: ")
    detail_only = OSError(f"Error writing bytes. Detail: [errno {number}] words")
    assert str(storage_error(detail_only)).startswith("The disk is full: ")


def test_other_trouble_with_files_is_named() -> None:
    error = storage_error(PermissionError(errno.EACCES, "Permission denied", "/store"))
    assert str(error) == (
        "Files cannot be written at /store: Permission denied. Nothing was published: correct the "
        "folder's place or permissions."
    )
    assert str(storage_error(OSError("no number [Errno x]"))).startswith("Files cannot be written:")
