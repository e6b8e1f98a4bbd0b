"""Values that break careless exports: they fill the first rows and recur throughout."""

from datetime import datetime, timezone

TEXTS: tuple[str | None, ...] = (
    'A "quoted" word',
    "comma, separated, words",
    "semi;colon",
    "tab\tinside",
    "line\nfeed",
    "carriage\r\nreturn and feed",
    "lone\rreturn",
    "  leading and trailing  ",
    "漢字かな交じり文と한국어",
    "مرحبا بالعالم",
    "שלום עולם",
    "Cafe\u0301 n\u0303o a\u030a",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
    "back\\slash \\n \\t \\",
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "'quoted",
    "00123",
    "0012345678905",
    "1-2",
    "MAR1",
    "NULL",
    "null",
    "true",
    "\\N",
    "NaN",
    "1e5",
    "",
    None,
    "<b>&amp;\"'</b> ]]>",
    "control \x01 and \x0b",
    '"',
    '""',
    ",",
    "\n",
    "'",
    " ",
    "\t",
    '=HYPERLINK("http://example.com","x")',
    "{{ name }} ${HOME} %s {0}",
    "\ufeffmark first",
    "no\u00a0break\u200bzero\u2028line",
    "a|b",
    "1,234.50",
    "2024-02-30",
    "0x1F",
    "#N/A",
    "-",
)
"""None is NULL. No text holds NUL, which Postgres refuses, nor is any longer than 64 characters."""

REQUIRED_TEXTS = tuple(text for text in TEXTS if text is not None)

LONG_TEXTS = tuple(
    " ".join(f"{word} {number:05d}" for number in range(3_000))
    for word in ("paragraph\n", "Absatz, „lang“;", "段落「長い」")
)
"""Longer than the 32,767 characters that an Excel cell holds."""

CODES = ("00123", "1-2", "MAR1", "1e5", "=1+1", "TRUE", "0012345678905", "-1", "A,B", 'C"D', "ÄÖ 1")
"""Article codes that spreadsheets take for something else; all different."""

WEIGHTS = (0.0, 0.1, 1e-7, 12345678.9, 0.30000000000000004, 100.0, 1e15)
CENTS = (0, -1, -12345, 1, 99, 100, 2**31, 99_999_999_999_999, -2_147_483_649)
TAGS: tuple[str | None, ...] = (
    None,
    "[]",
    '["with, comma","with \\"quotes\\"","with; semicolon"]',
    '[""]',
    '["line\\nfeed","tab\\t","back\\\\slash"]',
    '["漢字","עברית","👩‍👩‍👧‍👦"]',
    '["null","true","00123"]',
    '["=1+1"," spaced ","|"]',
)
METADATA: tuple[str | None, ...] = (
    None,
    "{}",
    '{"note":"comma, \\"quotes\\" and\\nlines"}',
    '{"nested":{"list":[1,2.5,null,true,"x"],"empty":[]},"名":"値"}',
    '{"b":1,"a":2}',
)


def _milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(f"{text}+00:00")
    return round((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds() * 1000)


MOMENTS = tuple(
    _milliseconds(text)
    for text in (
        "1970-01-01T00:00:00.000",
        "1970-01-01T00:00:00.001",
        "2099-12-31T23:59:59.999",
        "2024-02-29T12:00:00.000",
        "2000-02-29T23:59:59.999",
        "2023-03-26T00:59:59.999",
        "2023-03-26T01:00:00.000",
        "2023-10-29T00:30:00.001",
        "2023-10-29T01:30:00.001",
        "2024-03-10T06:59:59.999",
        "2024-11-03T05:30:00.000",
        "2024-12-31T23:59:59.999",
        "2038-01-19T03:14:08.000",
    )
)
"""Milliseconds since 1970: the epoch, leap days, both sides of clock changes, ends of years."""
