"""The excerpt of a file with a mark: in the right place, never too wide, never a secret, never a crash."""

from __future__ import annotations

import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anytier.report import diagnostics
from anytier.report.excerpt import excerpt, source
from anytier.report.text import width
from anytier.spec.hidden import HIDDEN
from anytier.spec.load import diagnose_bytes


def at(text: str, line: int, column: int, room: int = 80) -> tuple[str, str]:
    shown = excerpt(source(text.encode()), line, column, room)
    assert shown is not None
    return shown


@pytest.mark.parametrize(
    ("text", "column", "marked"),
    [
        ("replica: 2\n", 1, "replica"),
        ("a: {replica: 2}\n", 5, "replica"),
        ('a: "two words" # c\n', 4, '"two words"'),
        ("a: 'it'\n", 4, "'it'"),
        ("a: [1, 2]\n", 4, "["),
        ("\ta: 1\n", 2, "a"),
        ("日本: [x, yes]\n", 9, "yes"),
    ],
    ids=["key", "flow", "double", "single", "bracket", "tab", "wide"],
)
def test_the_mark_stands_under_what_it_is_about(text: str, column: int, marked: str) -> None:
    shown, mark = at(text, 1, column)
    start = width(mark) - mark.count("^")
    assert mark.strip() == "^" * width(marked)
    before = shown[: shown.index(marked)]
    assert width(before) == start


def test_a_long_line_is_cut_around_the_mark() -> None:
    text = "a: [" + ", ".join(f"item{number}" for number in range(500)) + "]"
    shown, mark = at(text, 1, text.index("item250") + 1, 60)
    assert "item250" in shown and shown.startswith("…") and shown.endswith("…")
    assert shown[mark.index("^") :].startswith("item250") and width(shown) <= 60


@pytest.mark.parametrize(
    "text",
    [
        "variables: {DB_PASSWORD: hunter2}",
        "variables:\n  DB_PASSWORD: hunter2",
        "secrets:\n  db:\n    from: file\n    path: hunter2",
        "api_key: >\n  first line\n  hunter2\n",
        "token: 'first\n  hunter2'\n",
        "password: [hunter2]",
        # no documents, so that only the keys can tell
        "variables: {DB_PASSWORD: hunter2}\n]",
        "password:\n  - hunter2\n]",
        "secrets:\n  db:\n    value: hunter2\n  :\n]",
    ],
)
def test_a_secret_is_hidden_on_every_line(text: str) -> None:
    found = source(text.encode())
    number = next(index for index, line in enumerate(found.lines, 1) if "hunter2" in line)
    for column in (1, found.lines[number - 1].index("hunter2") + 1, 999):
        shown = excerpt(found, number, column, 80)
        assert shown is not None
        assert "hunter2" not in shown[0] and HIDDEN in shown[0]


def test_what_is_no_secret_is_shown() -> None:
    text = "secrets:\n  db:\n    from: env\nimage: nginx\n"
    assert at(text, 2, 3)[0] == "  db:"
    assert at(text, 3, 5)[0] == "    from: env"
    assert at(text, 4, 1)[0] == "image: nginx"


@pytest.mark.parametrize(("line", "column"), [(0, 1), (-1, 1), (99, 1), (2, 1)], ids=str)
def test_where_there_is_nothing_nothing_is_shown(line: int, column: int) -> None:
    assert excerpt(source(b"a: 1\n\nb: 2"), line, column, 80) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"a: " + b"x" * (9 * 2**20),
        b"x" * 500_000 + b"\n]",
        b"a: [" + b'"k": 1, ' * 60_000,
        b"password: " + b"x" * 500_000 + b"\nnope: 1\n",
        b"x: &a [" + b"y, " * 100_000 + b"*b]",
        b"\n" * 200_000 + b"a: [",
    ],
    ids=["too large", "one word", "broken flow", "long secret", "no alias", "many lines"],
)
def test_no_text_takes_long(raw: bytes) -> None:
    """Linear in the text: what is quadratic would take minutes here. CPU time, so a busy machine does not matter."""
    began = time.process_time()
    _, found = diagnose_bytes(raw, "app.yaml")
    told = source(raw)
    shown = [excerpt(told, item.line, item.column, 80) for item in found]
    longest = max(range(len(told.lines)), key=lambda index: len(told.lines[index]))
    for column in (1, 12, len(told.lines[longest])):
        shown.append(excerpt(told, longest + 1, column, 80))
    assert any(shown) and time.process_time() - began < 5


@given(st.text(), st.integers(-1, 12), st.integers(-1, 200), st.integers(1, 120))
def test_it_is_never_wider_than_asked_nor_moves_the_terminal(text: str, line: int, column: int, room: int) -> None:
    shown = excerpt(source(text.encode("utf-8", "surrogatepass")), line, column, room)
    if shown is not None:
        assert shown[0].isprintable() and set(shown[1]) <= {" ", "^"} and "^" in shown[1]
        assert width(shown[0]) <= max(room, 8)


YAML_LIKE = st.text(string.ascii_lowercase + " \n\t:{}[]-#&*!|>'\"%@`,?\x00\x85\u2028日é", max_size=200)
ANYTHING = st.one_of(st.binary(max_size=200), YAML_LIKE.map(str.encode))


@settings(max_examples=400)
@given(ANYTHING, st.integers(10, 100))
def test_any_bytes_whatever_are_told_about_without_a_crash(raw: bytes, room: int) -> None:
    _, found = diagnose_bytes(raw, "app.yaml")
    items = [diagnostics.Item(one) for one in found]
    text = diagnostics.as_text(items, {"app.yaml": source(raw)}, room, color=False)
    assert text.count("app.yaml:") >= len(items) > 0
    assert all(line.isprintable() for line in text.split("\n"))
    assert len(diagnostics.as_json(items)) == len(items)


@settings(max_examples=200)
@given(st.text(string.ascii_letters + string.digits, min_size=8, max_size=20), YAML_LIKE)
def test_a_secret_does_not_show_whatever_stands_around_it(value: str, rest: str) -> None:
    canary = f"Canary{value}"
    raw = f"apiVersion: anytier.dev/v1\nnope: 1\nmetadata: {{name: a}}\npassword: {canary}\n{rest}".encode()
    _, found = diagnose_bytes(raw, "app.yaml")
    text = diagnostics.as_text([diagnostics.Item(one) for one in found], {"app.yaml": source(raw)}, 80, color=False)
    assert canary not in text
