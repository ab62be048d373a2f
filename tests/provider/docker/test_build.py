"""What a Dockerfile asks for, what a builder says, and logins: all without a daemon."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anytier.errors import NoSpace, Rejected, Unreachable
from anytier.provider.docker.build import Build, Log
from anytier.provider.docker.dockerfile import for_buildkit_only, from_scratch, instructions, predefined
from anytier.provider.docker.pull import Progress
from anytier.provider.oci import credentials
from anytier.provider.oci.reference import parse

# Dockerfiles


def told(text: str) -> str | None:
    error = for_buildkit_only(text, "Dockerfile")
    return error.what if error else None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("FROM a\nRUN --mount=type=cache,target=/x true", "line 2: RUN --mount"),
        ("FROM a\nRUN --network=none true", "line 2: RUN --network"),
        ("FROM a\n\n# c\nrun \\\n  --security=insecure true", "line 4: RUN --security"),
        ("FROM a\nCOPY --link a /a", "line 2: COPY --link"),
        ("FROM a\nCOPY --chown=1:1 --chmod=755 a /a", "line 2: COPY --chmod"),
        ("FROM a\nCOPY --from=b --exclude=*.md . /a", "line 2: COPY --exclude"),
        ("FROM a\nADD --checksum=sha256:1 http://x/y /y", "line 2: ADD --checksum"),
        ("FROM a\nRUN <<EOF\nls\nEOF", "line 2: RUN <<EOF"),
        ("FROM a\nRUN python3 - <<'PY'\nprint(1)\nPY", "line 2: RUN <<PY"),
        ("FROM a\nCOPY <<EOF /file\nx\nEOF", "line 2: COPY <<EOF"),
        ("FROM a\nADD https://github.com/a/b.git /src", "line 2: ADD of a git repository"),
        ("FROM --platform=$BUILDPLATFORM a", "line 1: FROM with BUILDPLATFORM"),
        ("# escape=`\nFROM a\nRUN `\n  --mount=type=bind,target=/x true", "line 3: RUN --mount"),
    ],
)
def test_what_needs_buildkit(text: str, what: str) -> None:
    assert (told(text) or "").startswith(f"{what}")
    assert "needs BuildKit" in (told(text) or "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# syntax=docker/dockerfile:1\nFROM a\nRUN true",
        "FROM --platform=linux/amd64 a AS b\nCOPY --from=b --chown=1:1 a /a",
        "FROM a\nHEALTHCHECK --interval=1s --retries=3 CMD true",
        "FROM a\nRUN echo --mount=type=cache",
        "FROM a\nRUN cat <<<'text'",
        'FROM a\nRUN echo "a << b" && echo $((1 << 4))',
        "FROM a\n# RUN --mount=x\nRUN true",
        "FROM a\nRUN true && \\\n# a comment inside\n  echo --link",
        'FROM a\nCMD ["sh", "-c", "cat <<EOF"]',
        "ARG BUILDPLATFORM=linux/amd64\nFROM --platform=$BUILDPLATFORM a",
        "\ufeffFROM a",
    ],
)
def test_what_does_not(text: str) -> None:
    assert told(text) is None


def test_instructions_begin_where_they_begin() -> None:
    text = "\n# x\nFROM a\nRUN one \\\n  two \\\n\n  three\nENV A=1"
    assert [(item.line, item.name, " ".join(item.rest.split())) for item in instructions(text)] == [
        (3, "FROM", "a"),
        (4, "RUN", "one two three"),
        (8, "ENV", "A=1"),
    ]


@given(st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    for_buildkit_only(text, "Dockerfile")


def test_the_platform_for_whoever_declares_it() -> None:
    facts = {"OSType": "linux", "Architecture": "aarch64"}
    assert predefined("FROM a\nARG TARGETARCH\nARG TARGETPLATFORM=x\nARG MINE", facts) == {
        "TARGETARCH": "arm64",
        "TARGETPLATFORM": "linux/arm64",
    }
    assert predefined("ARG BUILDPLATFORM", {"Architecture": "armv7l"}) == {"BUILDPLATFORM": "linux/arm/v7"}
    assert predefined("FROM a", facts) == {}
    text = "ARG TARGETPLATFORM\nARG TARGETARCH\nARG TARGETVARIANT\nARG BUILDPLATFORM\nARG BUILDARCH"
    assert predefined(text, facts, "linux/arm/v7") == {
        "TARGETPLATFORM": "linux/arm/v7",
        "TARGETARCH": "arm",
        "TARGETVARIANT": "v7",
        "BUILDPLATFORM": "linux/arm64",
        "BUILDARCH": "arm64",
    }


def test_a_stage_that_begins_with_nothing_is_seen() -> None:
    assert from_scratch("FROM a AS b\nFROM --platform=linux/amd64 scratch\nCOPY --from=b /a /a")
    assert not from_scratch("FROM scratchy\nFROM a AS scratch\n# FROM scratch")


@pytest.mark.parametrize("platform", ["arm64", "linux/", "windows/amd64", "linux/arm64/v8/x", "linux/ARM", "linux/a b"])
def test_a_platform_that_is_none_is_refused(platform: str) -> None:
    with pytest.raises(ValidationError):
        Build(context="/src", platform=platform)


# the builder's messages


def said(*texts: str) -> Log:
    log = Log("image app")
    for text in texts:
        log.take({"stream": text})
    return log


def test_steps_are_told_and_their_last_line() -> None:
    log = said("Step 1/3 : FROM a", "\n", " ---> 0123456789ab\n", "Step 2/3 : RUN   make\n all", "\n")
    assert log.status == "step 2/3 RUN make all"
    log.take({"stream": "\x1b[91mcompiling x\n\x1b[0m"})
    assert log.status == "step 2/3 RUN make all: compiling x"


def test_a_base_image_that_is_pulled_is_told() -> None:
    log = said("Step 1/3 : FROM a")
    log.take({"status": "Downloading", "id": "1", "progressDetail": {"current": 5_000_000, "total": 20_000_000}})
    assert log.status == "step 1/3 FROM a: 5 of 20 MB"


def test_what_a_build_made_itself_is_known() -> None:
    log = said(
        "Step 1/4 : FROM a", " ---> aaaaaaaaaaaa\n",
        "Step 2/4 : RUN x", " ---> Using cache\n", " ---> bbbbbbbbbbbb\n",
        "Step 3/4 : RUN y", " ---> Running in cccccccccccc\n", "out\n",
        "Removing intermediate container cccccccccccc\n", " ---> dddddddddddd\n",
        "Step 4/4 : LABEL z", " ---> eeeeeeeeeeee\n",
    )  # fmt: skip
    assert log.made == ["dddddddddddd", "eeeeeeeeeeee"]
    log.take({"aux": {"ID": "sha256:eeee"}})
    assert log.id == "sha256:eeee"


def test_a_step_that_fails() -> None:
    log = said("Step 1/2 : FROM a", "Step 2/2 : RUN make", *(f"line {number}\n" for number in range(50)))
    error = log.explain("image app", 500, "The command '/bin/sh -c make' returned a non-zero code: 2")
    assert isinstance(error, Rejected)
    assert error.what.startswith("step 2/2 failed, `RUN make`: The command")
    assert [line.strip() for line in error.what.splitlines()[1:]] == [f"line {number}" for number in range(38, 50)]
    assert error.do == "mend the Dockerfile or what it runs, then run again"


def test_a_step_that_fails_for_another_processor_is_told_so() -> None:
    log = said("Step 1/2 : FROM a", "Step 2/2 : RUN make", "exec /bin/sh: exec format error\n")
    log.foreign = ("linux/arm64", "linux/amd64")
    error = log.explain("image app", 500, "The command '/bin/sh -c make' returned a non-zero code: 255")
    assert error.do.startswith("this is built for linux/arm64 on linux/amd64: name a `builder` with that processor")
    assert "--install arm64" in error.do and error.do.endswith("mend the Dockerfile or what it runs, then run again")


def test_failures_that_are_no_fault_of_the_dockerfile() -> None:
    log = said("Step 1/2 : FROM --platform=linux/arm64 a:1 AS b")
    error = log.explain("image app", 500, 'Get "https://x/v2/": dial tcp: no such host')
    assert isinstance(error, Unreachable)
    assert error.path == "image app"
    assert error.what.startswith("its base image a:1: its registry x cannot be reached")
    log.take({"stream": "Step 2/2 : RUN fill"})
    assert isinstance(log.explain("image app", 500, "write /x: no space left on device"), NoSpace)
    assert isinstance(Log("image app").explain("image app", 400, "Unknown flag: link"), Rejected)


def test_the_progress_of_a_pull() -> None:
    progress = Progress()
    assert (bool(progress), str(progress)) == (False, "asking its registry")
    for id, current, total in (("a", 1, 10), ("b", 2, 10), ("a", 5, 10)):
        detail = {"current": current * 1_000_000, "total": total * 1_000_000}
        progress.take({"status": "Downloading", "id": id, "progressDetail": detail})
    assert str(progress) == "7 of 20 MB"
    progress.take({"status": "Download complete", "id": "b", "progressDetail": {}})
    assert str(progress) == "15 of 20 MB"


# references

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
PART = st.from_regex(r"[a-z0-9]{1,5}([._-][a-z0-9]{1,5})?", fullmatch=True)
REFERENCES = st.tuples(
    st.sampled_from(["", "ghcr.io/", "localhost/", "reg:5000/", "[::1]:5000/"]),
    st.lists(PART, min_size=1, max_size=3).map("/".join),
    st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,9}", fullmatch=True),
    st.none() | HEX,
)


@given(REFERENCES)
def test_the_parts_of_a_reference(parts: tuple[str, str, str | None, str | None]) -> None:
    host, path, tag, digest = parts
    text = f"{host}{path}{f':{tag}' if tag else ''}{f'@sha256:{digest}' if digest else ''}"
    found = parse(text, "pull")
    first = path.partition("/")[0]
    registry = host.rstrip("/") or (first if "/" in path and "." in first else "docker.io")
    assert (found.registry, found.repository, found.tag) == (registry, f"{host}{path}", tag)
    assert found.digest == (f"sha256:{digest}" if digest else None)
    assert str(found) == (text if tag or digest else f"{text}:latest")
    assert found.moves == (digest is None and tag in (None, "latest"))


@given(st.text(max_size=30))
def test_any_text_is_a_reference_or_is_refused(text: str) -> None:
    try:
        assert parse(text, "pull").repository
    except Rejected as error:
        assert error.path == "pull"
        assert error.do


# logins


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    def write(config: Any) -> None:
        (tmp_path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))

    return write


def unpacked(headers: dict[str, str]) -> Any:
    (value,) = headers.values()
    return json.loads(base64.urlsafe_b64decode(value))


AUTH = base64.b64encode(b"me:pass:word").decode()


async def test_no_login(docker_config: Any) -> None:
    assert await credentials.for_registry("ghcr.io") == await credentials.for_build() == {}
    docker_config({"auths": {"ghcr.io": {"auth": AUTH}}})
    assert await credentials.for_registry("quay.io") == {}


async def test_a_login_of_dockers_config(docker_config: Any) -> None:
    docker_config({"auths": {"ghcr.io": {"auth": AUTH}, "https://index.docker.io/v1/": {"identitytoken": "t"}}})
    login = {"username": "me", "password": "pass:word", "serveraddress": "ghcr.io"}
    headers = await credentials.for_registry("ghcr.io")
    assert list(headers) == ["X-Registry-Auth"]
    assert unpacked(headers) == login
    hub = {"identitytoken": "t", "serveraddress": "https://index.docker.io/v1/"}
    assert unpacked(await credentials.for_registry("docker.io")) == hub
    headers = await credentials.for_build()
    assert list(headers) == ["X-Registry-Config"]
    assert unpacked(headers) == {"ghcr.io": login, "https://index.docker.io/v1/": hub}


async def test_a_login_by_an_old_entry(docker_config: Any) -> None:
    docker_config({"auths": {"https://registry.example/v1/": {"auth": AUTH}}})
    assert unpacked(await credentials.for_registry("registry.example"))["username"] == "me"


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")

    def write(script: str) -> None:
        file = tmp_path / "bin" / "docker-credential-test"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    return write


async def test_a_login_by_a_helper(docker_config: Any, helper: Any) -> None:
    docker_config({"credsStore": "test", "auths": {"ghcr.io": {}}})
    helper('read name; test "$1" = get && echo "{\\"Username\\": \\"me\\", \\"Secret\\": \\"for $name\\"}"')
    login = {"username": "me", "password": "for ghcr.io", "serveraddress": "ghcr.io"}
    assert unpacked(await credentials.for_registry("ghcr.io")) == login
    assert unpacked(await credentials.for_build()) == {"ghcr.io": login}
    helper('echo "{\\"Username\\": \\"<token>\\", \\"Secret\\": \\"t\\"}"')
    assert unpacked(await credentials.for_registry("ghcr.io")) == {"identitytoken": "t", "serveraddress": "ghcr.io"}
    helper("echo credentials not found in native keychain; exit 1")
    assert await credentials.for_registry("ghcr.io") == {}


async def test_helpers_that_are_broken(docker_config: Any, helper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    docker_config({"credHelpers": {"ghcr.io": "nonexistent"}})
    with pytest.raises(Rejected, match="docker-credential-nonexistent: cannot be run"):
        await credentials.for_registry("ghcr.io")
    assert await credentials.for_registry("quay.io") == {}
    assert await credentials.for_build() == {}
    docker_config({"credsStore": "test"})
    helper("exec sleep 100")
    monkeypatch.setattr(credentials, "_HELPER_SECONDS", 0.2)
    with pytest.raises(Rejected, match="does not answer"):
        await credentials.for_registry("ghcr.io")


@pytest.mark.parametrize("text", ["{", '{"auths": {"ghcr.io": {"auth": "é"}}}'])
async def test_a_config_that_is_broken(docker_config: Any, text: str) -> None:
    docker_config(text)
    with pytest.raises(Rejected) as caught:
        await credentials.for_registry("ghcr.io")
    assert "docker login" in caught.value.do
