"""Registries as files, with secrets in SHOP_PASSWORD and SHOP_USER."""

from typing import Any

from hypothesis import strategies as st

from export_pipelines_tests.contracts.frames import TEXTS

NAMES = TEXTS.map(lambda text: "".join(filter(str.isprintable, text)).strip()).filter(bool)
FREE = NAMES.filter(lambda name: "/" not in name)
VALUES = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=8).filter(
    lambda text: "${" not in text
)


def _named(some: st.SearchStrategy[str], each: st.SearchStrategy[Any]) -> Any:
    return st.dictionaries(some, each, max_size=3)


@st.composite
def _platforms(draw: st.DrawFn) -> dict[str, Any]:
    secret = st.sampled_from(["${SHOP_PASSWORD}", {"env": "SHOP_USER"}])
    sftp = st.fixed_dictionaries(
        {"host": VALUES, "username": st.just("${SHOP_USER}")},
        optional={"password": secret, "passphrase": secret, "port": st.integers(1, 65_535)},
    )
    local = st.fixed_dictionaries({"folder": VALUES})
    kinds = st.one_of(sftp.map(lambda one: {"sftp": one}), local.map(lambda one: {"local": one}))
    switches = {"is_active": st.booleans(), "auto_upload": st.booleans()}
    given = draw(_named(FREE, st.tuples(kinds, st.fixed_dictionaries({}, optional=switches))))
    return {name: {**kind, **rest} for name, (kind, rest) in given.items()}


@st.composite
def registries(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a file of platforms, profiles and schedules with awkward names; it is right."""
    platforms = draw(_platforms())
    some = st.lists(st.sampled_from(sorted(platforms)), unique=True) if platforms else st.just([])
    optional = {"platforms": some, "is_active": st.booleans()}
    request = {"fields": st.just(["sku"]), "rename": st.just({"sku": "a"}), "file_name": FREE}
    profile = st.fixed_dictionaries(
        {"format": st.sampled_from(["csv", "json", "excel", "parquet", "zip"])},
        optional={**optional, "fixed_columns": _named(NAMES, TEXTS), **request},
    )
    profiles = draw(_named(NAMES, profile))
    schedule = st.fixed_dictionaries(
        {"cron_expression": st.sampled_from(["@daily", "0 9 * * 1", " */5  * 1 jan mon-fri"])},
        optional={
            **optional,
            "timezone": st.sampled_from(["UTC", "Europe/Paris", "Australia/Lord_Howe"]),
            "profile": st.sampled_from(["default", *profiles]),
            "alert_after_minutes": st.integers(1, 10_000),
        },
    )
    return {
        "platforms": platforms,
        "profiles": profiles,
        "schedules": draw(_named(NAMES, schedule)),
    }
