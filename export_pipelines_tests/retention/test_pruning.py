import shutil
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from export_pipelines import settings
from export_pipelines.errors import RequestError
from export_pipelines.retention.pruning import Policy, policy
from export_pipelines_tests.retention.past import EXPORT, POLICY, Past, Status, age_files

KINDS = ("exports", "staging", "imports", "runs", "ticks")


def test_the_defaults() -> None:
    assert policy({}) == POLICY
    assert policy(dict.fromkeys(KINDS)) == POLICY


@pytest.mark.parametrize("kind", KINDS)
def test_variables_say_how_long_and_what_is_asked_for_comes_first(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"EXPORT_PIPELINES_KEEP_{kind.upper()}_DAYS"
    for value, days in (("3", 3), ("none", None), ("NONE", None), ("", vars(POLICY)[kind])):
        monkeypatch.setenv(variable, value)
        assert policy({}) == Policy(**{**vars(POLICY), kind: days})
        assert policy({kind: 1}) == Policy(**{**vars(POLICY), kind: 1})
    for wrong in ("0", "-1", "1.5", "ever"):
        monkeypatch.setenv(variable, wrong)
        with pytest.raises(RequestError, match=f"^{variable} is '{wrong}': set it to a whole "):
            policy({})
    monkeypatch.delenv(variable)
    with pytest.raises(RequestError, match=rf"^{kind}_days is 0: set it to a whole number of 1 "):
        policy({kind: 0})


@pytest.mark.parametrize("days", [20_000, 10**9, 10**18])
def test_more_days_than_there_were_keep_everything(past: Past, days: int) -> None:
    past.stored(10_000)
    past.stage(str(uuid4()), 10_000)
    done = past.prune(policy=Policy(days, days, days, days, days))
    assert {kind: (pruned.count, pruned.failed) for kind, pruned in done.items()} == dict.fromkeys(
        KINDS, (0, 0)
    )


def everything(past: Past) -> tuple[set[str], set[Path]]:
    """Return the runs and the files that there are."""
    homes = (past.exporter.folder, settings.imports_folder())
    return past.run_ids(), {path for home in homes for path in home.rglob("*")}


AGES = st.sampled_from([0.0, 6, 8, 29, 31, 89, 91, 400])
RUNS = st.lists(
    st.tuples(
        AGES,
        st.sampled_from(["SUCCESS", "FAILURE", "CANCELED", "STARTED", "QUEUED"]),
        st.booleans(),
        st.booleans(),
        st.integers(0, 9),
    ),
    max_size=8,
)


def make(past: Past, runs: list[tuple[float, str, bool, bool, int]]) -> None:
    """Make runs: exports or not, with staging folders or not, some of others executed again."""
    made: list[tuple[str, str]] = []
    for days, status, is_export, is_staged, parent in runs:
        again, root = made[parent] if parent < len(made) else ("", "")
        tags = EXPORT if is_export else None
        run_id = past.record(days, Status(status), again=again, root=root, tags=tags)
        made.append((run_id, root or run_id))
        if is_export:
            folder = past.store / (again if again and is_staged else run_id)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "manifest.json").write_text("{}")
            age_files(folder, days)
            past.instance.add_run_tags(run_id, {"export/location": str(folder)})
            past.age(run_id, days)
        if is_staged:
            past.stage(run_id, days)
    past.stage(str(uuid4()), 8)
    shutil.copytree(past.staging, past.store, dirs_exist_ok=True)


@hypothesis_settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=RUNS)
def test_a_dry_run_says_what_the_real_one_then_does(
    past: Past, runs: list[tuple[float, str, bool, bool, int]]
) -> None:
    for run_id in past.run_ids():
        past.instance.run_storage.delete_run(run_id)
    shutil.rmtree(past.exporter.folder, ignore_errors=True)
    make(past, runs)
    before = everything(past)
    active = {run.run_id for run in past.instance.get_runs() if not run.is_finished}

    dry = past.prune(dry_run=True)
    assert everything(past) == before
    real = past.prune()

    assert real == dry
    assert all(pruned.failed == 0 for pruned in real.values())
    assert len(before[0]) - len(past.run_ids()) == real["runs"].count
    assert active <= past.run_ids()
    left = everything(past)
    for run_id in active:
        assert {path for path in before[1] if run_id in path.parts} <= left[1]
    assert {pruned.count for pruned in past.prune().values()} == {0}
    assert everything(past) == left


def test_one_kind_that_fails_does_not_keep_the_others(past: Past) -> None:
    past.store.parent.mkdir(parents=True)
    past.store.touch()
    old = past.record(91)
    past.record(91, Status.FAILURE, job="export_csv", tags=EXPORT)
    past.stage(str(uuid4()), 8)
    done = past.prune()
    assert done["exports"].failed == 1
    assert done["exports"].reason.startswith("exports: ")
    assert done["staging"].count == 1
    assert [name for name, _ in done["runs"].listed] == [old]


def test_kinds_come_in_an_order_in_which_one_prune_is_enough(past: Past) -> None:
    past.stored(91)
    done = past.prune()
    assert list(done) == list(KINDS)
    assert done["runs"].count == 1
