"""An error is one line; its traceback is a file that was asked for; what exists already is packed with it."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, status_pb2

from anytier.errors import Denied, Unreachable
from anytier.marks import Secret
from anytier.provider import failure, values


def test_codes_never_leave_a_pending_operation() -> None:
    feared = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS}
    errors = [Unreachable("a", "b"), Denied("a", "b"), ValueError("x"), KeyError()]
    assert not feared & {failure.status(error).code for error in errors}
    assert failure.status(Unreachable("a", "b")).code == grpc.StatusCode.UNAVAILABLE


def test_an_error_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANYTIER_DEBUG", raising=False)
    assert failure.line(Unreachable("host", "is down", "start it")) == "host: is down -> start it"
    said = failure.line(ValueError("two\nlines"))
    assert said == "internal error: ValueError: two lines (ANYTIER_DEBUG=1 writes the traceback to a file)"


def test_the_traceback_goes_to_a_private_file_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "logs" / "debug"
    error = ValueError("hunter2")
    failure.note(error)
    assert not file.exists()
    monkeypatch.setenv("ANYTIER_DEBUG", str(file))
    failure.note(error, lambda text: text.replace("hunter2", "[secret]"))
    assert "ValueError: [secret]" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_exists_is_packed_with_the_reason() -> None:
    status = failure.partial("not well", "id-1", {"a": 1}, {"b": Secret("x")})
    ((key, packed),) = status.metadata
    assert (key, status.details) == ("grpc-status-details-bin", "not well")
    assert isinstance(packed, bytes)
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status_pb2.Status.FromString(packed).details[0].Unpack(detail)
    assert (detail.id, list(detail.reasons)) == ("id-1", ["not well"])
    assert values.read(detail.properties) == {"a": 1, failure.INCOMPLETE: True}
    assert values.read(detail.inputs) == {"b": Secret("x")}
