"""What a message must not tell, whole or in pieces."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from anytier.provider.redaction import FROM, LINE_FROM, redactor

BODY = "MIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\nshort"
MARK = "-----{} PRIVATE " + "KEY-----"  # in two: a test of the repository looks for keys
BEGIN, END = MARK.format("BEGIN"), MARK.format("END")
KEY = f"{BEGIN}\n{BODY}\n{END}\n"


def test_the_longest_goes_first_and_what_is_too_short_stays() -> None:
    assert redactor({"pass", "password1", "a"})("a password1 pass") == "a [secret] [secret]"


def test_a_key_is_hidden_whole_and_line_by_line() -> None:
    hide = redactor({KEY})
    assert hide(f"cannot read {KEY}") == "cannot read [secret]"
    assert hide("bad line: AQEFAASCBKcwggSjAgEAAoIB") == "bad line: [secret]"
    assert hide(f"{BEGIN} is missing") == f"{BEGIN} is missing"
    assert hide("a short one") == "a short one"


def test_the_line_break_at_its_end_hides_nothing() -> None:
    assert redactor({"hunter2hunter2\n"})("no such password: 'hunter2hunter2'") == "no such password: '[secret]'"


@given(st.text(min_size=FROM), st.text(max_size=20), st.text(max_size=20))
def test_no_secret_is_left_in_a_message(secret: str, before: str, after: str) -> None:
    assume(len(secret.strip()) >= FROM and secret.strip() not in "[secret]")
    shown = redactor({secret})(f"{before}{secret}{after}")
    assert secret not in shown and secret.strip() not in shown.replace("[secret]", "\0")


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=LINE_FROM), min_size=2, max_size=4))
def test_no_line_of_one_is_left(lines: list[str]) -> None:
    hide = redactor({"\n".join(lines)})
    for line in lines:
        assert line not in hide(f"error: {line}!")
