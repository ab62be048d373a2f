"""What reaches a shell on another machine, the form of its address, and the parts of an upload: pure, by properties."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anytier.errors import Rejected
from anytier.logins import public_key
from anytier.provider.host import shell
from anytier.provider.host.ssh import batches
from anytier.provider.host.sshref import SshRef
from anytier.provider.host.transport import File

WORDS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), max_size=5)
SHELLS = [name for name in ("sh", "bash", "dash", "busybox") if shutil.which(name)]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAxyz0123456789"


@pytest.mark.parametrize("name", SHELLS)
@given(words=WORDS)
def test_a_command_on_the_terminal_gets_exactly_its_words(name: str, words: list[str]) -> None:
    argv = ["printf", "%s\\0", "first", *words]
    login = [name, "sh", "-c"] if name == "busybox" else [name, "-c"]
    done = subprocess.run([*login, shell.terminal_command(argv, sudo=False)], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == [b"first", *(word.encode() for word in words)]


def test_a_nul_byte_is_refused() -> None:
    with pytest.raises(Rejected):
        shell.terminal_command(["echo", "a\0"], sudo=True)


@pytest.mark.parametrize("sudo", [False, True])
def test_the_agents_command_is_one_line_that_any_login_shell_takes(sudo: bool) -> None:
    command = shell.agent_command(sudo)
    assert "\n" not in command and "!" not in command and command.count("'") == 2
    source = b"import sys; print('started', len(sys.argv))"
    for name in SHELLS:
        login = [name, "sh", "-c"] if name == "busybox" else [name, "-c"]
        done = subprocess.run([*login, command], input=f"{len(source)}\n".encode() + source, capture_output=True)
        assert done.stdout == b"started 1\n" or (sudo and done.returncode in (91, 92)), done.stderr


def test_its_own_exit_codes_say_why_there_is_no_agent() -> None:
    for code, word in ((91, "no sudo"), (92, "password"), (93, "Python"), (127, "Python")):
        error = shell.why_no_agent(code, "db1", "deploy")
        assert error is not None and word in error.what
    assert shell.why_no_agent(1, "db1", "deploy") is None


@given(address=st.text(max_size=30), user=st.text(min_size=1, max_size=12))
def test_an_address_or_a_user_is_never_an_option_or_more_than_one_word(address: str, user: str) -> None:
    try:
        ref = SshRef(address=address, user=user)
    except ValidationError:
        return
    for text in (ref.address, str(ref.user)):
        assert text and text[0] not in "-" and not set(text) & set(" \t\n\r\0'\"`$;&|<>()/")


@pytest.mark.parametrize("address", ["db1", "db1.example.org", "10.0.0.7", "::1", "fe80::1%eth0", "[2001:db8::7]"])
def test_names_and_addresses_are_taken(address: str) -> None:
    assert SshRef(address=address).address == address.strip("[]")
    assert str(SshRef(address="::1", port=2222)) == "[::1]:2222"


@pytest.mark.parametrize(
    "wrong", ["", "-oProxyCommand=x", "a b", "root@db1", "ssh://db1", "db1:22", "a\nb", "1.2.3.4/24", "x" * 300, "a;b"]
)
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        SshRef(address=wrong)


def test_a_host_key_is_kept_without_its_comment() -> None:
    assert public_key(f"{KEY} root@db1\n") == KEY
    for wrong in ("", "AAAA", "ssh-ed25519", "ssh-ed25519 $(x)", "-----BEGIN KEY-----"):
        with pytest.raises(ValueError):
            public_key(wrong)


@given(sizes=st.lists(st.integers(0, 50), max_size=30), limit=st.integers(1, 60))
def test_parts_keep_all_files_in_order_and_are_as_large_as_they_may_be(sizes: list[int], limit: int) -> None:
    files = [File(f"/{index}", b"x" * size) for index, size in enumerate(sizes)]
    parts = list(batches(files, limit))
    assert [file for part in parts for file in part] == files
    weights = [sum(len(file.data or b"") for file in part) for part in parts]
    assert all(weight <= limit or len(part) == 1 for weight, part in zip(weights, parts, strict=True))
    following = zip(weights, parts[1:], strict=False)
    assert all(weight + len(part[0].data or b"") > limit for weight, part in following)
