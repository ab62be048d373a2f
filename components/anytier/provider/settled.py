"""What the engine asks of a resource that has not changed, answered from the request alone.

Most of what a run asks about is unchanged. That is told without any model, so that a run in which nothing changes never
imports one: it is most of the time that the plugin would take to start.
"""

from __future__ import annotations

from pulumi.runtime.proto import provider_pb2

# Marks in a state, beside its outputs.
INCOMPLETE = "__incomplete"  # the operation that wrote it failed half way; the next one must go on
SETTLED = "__settled"  # the version of ours that wrote it and saw that it is as its inputs want it


def checked(request: provider_pb2.CheckRequest) -> bool:
    """Whether these very inputs, defaults and all, have passed the check before."""
    return len(request.olds.fields) > 0 and request.news == request.olds


def unchanged(request: provider_pb2.DiffRequest, version: str) -> bool:
    """Whether nothing is to be done. Another version of ours looks with its own eyes."""
    marks = request.olds.fields
    return (
        INCOMPLETE not in marks
        and SETTLED in marks
        and marks[SETTLED].string_value == version
        and len(request.old_inputs.fields) > 0
        and request.news == request.old_inputs
    )
