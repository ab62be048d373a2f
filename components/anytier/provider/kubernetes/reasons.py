"""Why pods are not well, in the words of a person: from pods, events and logs as the API gives them. Pure.

The finders stand in the order of their worth: what is certain and can be mended comes before what only shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]
LINES = 10  # of a log
_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
_MAKING = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PostStartHookError")
_KILLED = 137  # by SIGKILL
_MOUNT = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")


@dataclass(frozen=True)
class Evidence:
    """`pods` that are not well, the one that matters most first; `events` of them and of what makes them, oldest
    first; `logs`: (pod, container) -> the end of what it printed, of the run before if that one crashed."""

    pods: Sequence[Json] = ()
    events: Sequence[Json] = ()
    logs: Mapping[tuple[str, str], str] = field(default_factory=dict)


def why(found: Evidence) -> str:
    """One reason, the best there is; with lines of a log if they tell more. Never empty."""
    for finder in _FINDERS:
        for said in finder(found):
            return said
    phases = sorted({str((pod.get("status") or {}).get("phase") or "Unknown") for pod in found.pods})
    return f"the pods are {', '.join(phases).lower()}" if phases else "no pod was made"


def _pulling(found: Evidence) -> Iterator[str]:
    for pod, status, waiting in _waiting(found, _PULL):
        image, told = str(status.get("image") or ""), _flat(waiting.get("message"))
        events = [_flat(event.get("message")) for event in _events(found, pod, "Failed")]
        pulls = [text for text in events if "pull" in text]  # the waiting message only says that it is tried again
        detail = pulls[0] if pulls and waiting.get("reason") == "ImagePullBackOff" else told or (pulls or [""])[0]
        yield f"container {status['name']}: image {image} cannot be pulled ({waiting['reason']}): {detail}".rstrip(": ")


def _not_made(found: Evidence) -> Iterator[str]:
    for _, status, waiting in _waiting(found, _MAKING):
        yield f"container {status['name']} cannot be made ({waiting['reason']}): {_flat(waiting.get('message'))}"


def _starved(found: Evidence) -> Iterator[str]:
    """A runtime that is not told of the kernel's reason in time says only that the process was killed."""
    for pod, status, ended in _ended(found):
        limit = _limit(pod, status["name"])
        if ended.get("reason") == "OOMKilled":
            yield f"container {status['name']}: out of memory{f' (limit {limit})' if limit else ''}{_again(status)}"
        elif ended.get("exitCode") == _KILLED and limit and not _events(found, pod, "Killing"):
            yield f"container {status['name']}: killed: out of memory, it seems (limit {limit}){_again(status)}"


def _crashed(found: Evidence) -> Iterator[str]:
    for pod, status, ended in _ended(found):
        code, signal = ended.get("exitCode"), ended.get("signal")
        if code in (0, None) and not (status.get("state") or {}).get("waiting"):
            continue
        how = f"the process ended (exit {code}{f', signal {signal}' if signal else ''})"
        # The message is what the program said last, where it may say that in a file or the log stands in for one.
        said = found.logs.get((_name(pod), status["name"]), "") or str(ended.get("message") or "")
        yield f"container {status['name']}: {how}{_again(status)}{_tail(said.strip().splitlines())}"


def _unschedulable(found: Evidence) -> Iterator[str]:
    for pod in found.pods:
        for item in (pod.get("status") or {}).get("conditions") or ():
            if item.get("type") == "PodScheduled" and item.get("status") == "False":
                yield f"no node can take it: {_flat(item.get('message')) or item.get('reason')}"


def _unmounted(found: Evidence) -> Iterator[str]:
    for pod in found.pods:
        for event in reversed(_events(found, pod, *_MOUNT)):
            yield f"a volume cannot be mounted: {_flat(event.get('message'))}"


def _probed(found: Evidence) -> Iterator[str]:
    for pod in found.pods:
        for event in reversed(_events(found, pod, "Unhealthy")):
            lines = [line for key, text in found.logs.items() if key[0] == _name(pod) for line in text.splitlines()]
            said = _flat(event.get("message"))
            yield f"{said[:1].lower()}{said[1:]}{_tail(lines)}"


def _refused(found: Evidence) -> Iterator[str]:
    """No pod at all: PodSecurity, a quota, a webhook. The controller says so in its events."""
    for event in reversed([item for item in found.events if item.get("reason") == "FailedCreate"]):
        said = _flat(event.get("message"))
        said = said.partition(": ")[2] if said.startswith("Error creating") else said
        if "violates PodSecurity" in said:
            yield f"the namespace's PodSecurity forbids these pods: {said}"
        elif "exceeded quota" in said:
            yield f"the namespace's quota is used up: {said}"
        else:
            yield f"no pod can be made: {said}"


def _unready(found: Evidence) -> Iterator[str]:
    for pod in found.pods:
        for item in (pod.get("status") or {}).get("conditions") or ():
            if item.get("type") == "Ready" and item.get("status") == "False" and item.get("message"):
                yield f"it is not ready: {_flat(item['message'])}"


_FINDERS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    _pulling,
    _not_made,
    _starved,
    _crashed,
    _unmounted,
    _probed,
    _unschedulable,
    _refused,
    _unready,
)


def containers(pod: Json) -> list[Json]:
    """The status of every container, init containers first."""
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]


def troubled(pod: Json) -> list[tuple[str, bool]]:
    """(container, whether the run before is meant) of those whose log tells something."""
    told = []
    for status in containers(pod):
        state, last = status.get("state") or {}, status.get("lastState") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode") == 0:
            continue
        if ended is not None or state.get("running"):
            recent = state.get("running") and last.get("terminated") and not status.get("ready")
            told.append((str(status["name"]), bool(recent)))
        elif last.get("terminated"):
            told.append((str(status["name"]), True))
    return told


def _waiting(found: Evidence, reasons: Sequence[str]) -> Iterator[tuple[Json, Json, Json]]:
    for pod in found.pods:
        for status in containers(pod):
            waiting = (status.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in reasons:
                yield pod, status, waiting


def _ended(found: Evidence) -> Iterator[tuple[Json, Json, Json]]:
    """Containers that ended, now or before their last restart."""
    for pod in found.pods:
        for status in containers(pod):
            for state in (status.get("state") or {}, status.get("lastState") or {}):
                if state.get("terminated"):
                    yield pod, status, state["terminated"]
                    break


def _events(found: Evidence, pod: Json, *reasons: str) -> list[Json]:
    uid = (pod.get("metadata") or {}).get("uid")
    return [
        event
        for event in found.events
        if event.get("reason") in reasons and (event.get("involvedObject") or {}).get("uid") == uid
    ]


def _limit(pod: Json, name: str) -> str:
    spec = pod.get("spec") or {}
    for item in [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]:
        if item.get("name") == name:
            return str(((item.get("resources") or {}).get("limits") or {}).get("memory") or "")
    return ""


def _again(status: Json) -> str:
    count = int(status.get("restartCount") or 0)
    return f"; it was restarted {count} times" if count > 1 else "; it was restarted" if count else ""


def _tail(lines: Sequence[str]) -> str:
    return "; its last log lines:\n" + "\n".join(f"  {line}" for line in lines[-LINES:]) if lines else ""


def _name(pod: Json) -> str:
    return str((pod.get("metadata") or {}).get("name") or "")


def _flat(text: Any) -> str:
    return " ".join(str(text or "").split())
