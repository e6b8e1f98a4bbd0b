from collections.abc import Iterator

import pytest
from sqlalchemy.exc import OperationalError

from export_pipelines.errors import ExportPipelinesError, PlatformUnavailable, StorageUnavailable
from export_pipelines.retention.candidates import LISTED, Candidate, Removed, remove_all


def fine(name: str) -> Candidate:
    return Candidate(name, lambda dry_run: Removed(bytes=2))


def failing(name: str, error: BaseException) -> Candidate:
    def fail(dry_run: bool) -> Removed:
        raise error

    return Candidate(name, fail)


def test_all_are_counted_and_the_first_are_named() -> None:
    pruned = remove_all("runs", map(fine, map(str, range(250))), dry_run=False)
    assert (pruned.count, pruned.bytes, len(pruned.listed)) == (250, 500, LISTED)
    assert [name for name, _ in pruned.listed] == [str(number) for number in range(LISTED)]


@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        (StorageUnavailable("The disk is full."), "The disk is full.", "storage_unavailable"),
        (
            PermissionError(13, "Permission denied", "/x"),
            "/x: Permission denied.",
            "storage_unavailable",
        ),
        (OSError("odd"), "The disk: odd.", "storage_unavailable"),
        (
            OperationalError("DELETE", {}, Exception("database is locked")),
            "(builtins.Exception) database is locked.",
            ExportPipelinesError.code,
        ),
    ],
)
def test_a_failure_is_a_sentence_and_does_not_keep_the_others(
    error: Exception, sentence: str, code: str
) -> None:
    found = [fine("a"), failing("b", error), fine("c"), failing("d", OSError("later"))]
    pruned = remove_all("runs", found, dry_run=False)
    assert (pruned.count, pruned.failed) == (2, 2)
    assert (pruned.reason, pruned.code) == (f"b: {sentence}", code)


def test_each_is_looked_at_again_right_before_it_is_removed() -> None:
    removed: list[str] = []

    def candidate(name: str) -> Candidate:
        def remove(dry_run: bool) -> Removed:
            removed.append(name)
            return Removed(bytes=2)

        return Candidate(name, remove, lambda: "a" not in removed or name == "c")

    pruned = remove_all("runs", list(map(candidate, "abc")), dry_run=False)
    assert removed == ["a", "c"]
    assert (pruned.count, pruned.bytes, pruned.failed) == (2, 4, 0)
    removed.clear()
    assert remove_all("runs", list(map(candidate, "abc")), dry_run=True).count == 3


def test_what_cannot_be_looked_at_again_is_not_removed() -> None:
    def away() -> bool:
        raise OperationalError("SELECT", {}, Exception("database is locked"))

    found = [Candidate("a", lambda dry_run: Removed(), away), fine("b")]
    pruned = remove_all("runs", found, dry_run=False)
    assert ([name for name, _ in pruned.listed], pruned.failed) == (["b"], 1)
    assert pruned.reason == "a: (builtins.Exception) database is locked."


def test_what_cannot_be_looked_for_is_a_failure_of_its_kind() -> None:
    def broken() -> Iterator[Candidate]:
        yield fine("a")
        raise PlatformUnavailable("It does not answer.")

    pruned = remove_all("exports", broken(), dry_run=False)
    assert (pruned.count, pruned.failed) == (1, 1)
    assert pruned.reason == "exports: It does not answer."


def test_a_store_that_does_not_answer_is_not_asked_for_each_of_thousands() -> None:
    away = PlatformUnavailable("It does not answer.")
    found = [*(failing(str(number), away) for number in range(2)), fine("a")]
    found += [failing(str(number), away) for number in range(1_000)]
    pruned = remove_all("exports", found, dry_run=False)
    assert (pruned.count, pruned.failed) == (1, 5)


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        remove_all("runs", [failing("a", ZeroDivisionError())], dry_run=False)
