"""Stack config `anytier:acme`: what may stand there, and that nothing else gets as far as a proxy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anytier.acme import Acme


def test_nothing_is_needed_and_what_is_said_stays() -> None:
    assert Acme().wire() == {}
    said = {"directory": "https://ca.example.org:8443/acme/dir", "email": "ops+web@example.org"}
    assert Acme.model_validate(said).wire() == said


@pytest.mark.parametrize(
    "wrong",
    [
        {"directory": "http://ca.example.org/dir"},
        {"directory": "https:///dir"},
        {"directory": "https://ca.example.org:0/dir"},
        {"directory": "https://ca.example.org:port/dir"},
        {"directory": "https://[::1/dir"},
        {"directory": "https://ca.example.org/d ir"},
        {"directory": "https://{env.HOME}.example.org/dir"},
        {"directory": "ca.example.org"},
        {"directory": ""},
        {"email": "ops"},
        {"email": "ops@{env.HOME}"},
        {"email": "a b@example.org"},
        {"url": "https://ca.example.org"},
    ],
)
def test_what_is_wrong_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Acme.model_validate(wrong)


def test_a_login_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as error:
        Acme(directory="https://me:hunter2@ca.example.org/dir")
    assert "hunter2" not in error.value.errors()[0]["msg"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_reaches_a_proxy_that_it_would_read_as_a_variable(directory: str, email: str) -> None:
    for given_ in ({"directory": f"https://a.example{directory}"}, {"email": f"{email}@example.org"}):
        try:
            made = Acme.model_validate(given_)
        except ValidationError:
            continue
        text = "".join(made.wire().values())
        assert text.isprintable() and text.isascii() and not {"{", "}", " "} & set(text)
