"""Why pods are not well: each reason as a person reads it, and which one wins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.provider.kubernetes.objects import container, ended, event, pod, waiting

from anytier.provider.kubernetes.reasons import Evidence, troubled, why

BACKOFF = waiting("CrashLoopBackOff", "back-off 10s restarting failed container")


def test_an_image_that_is_not_there_is_named_with_what_the_registry_said() -> None:
    bad = container(state=waiting("ImagePullBackOff", 'Back-off pulling image "x:9"'), image="x:9")
    found = Evidence([pod("web-1", "new", bad)], [event("Failed", 'Failed to pull image "x:9": not found')])
    said = why(found)
    assert said == 'container web: image x:9 cannot be pulled (ImagePullBackOff): Failed to pull image "x:9": not found'


def test_a_crash_is_told_with_its_exit_code_its_restarts_and_the_last_lines() -> None:
    bad = container(state=BACKOFF, lastState=ended(3, reason="Error"), restartCount=4)
    found = Evidence([pod("web-1", "new", bad, ready=False)], [], {("web-1", "web"): "starting\nno database\n"})
    assert why(found) == (
        "container web: the process ended (exit 3); it was restarted 4 times; its last log lines:\n"
        "  starting\n  no database"
    )


def test_without_a_log_what_the_container_left_as_its_message_is_told() -> None:
    bad = container(state=ended(1, message="cannot bind\n"))
    assert why(Evidence([pod("web-1", "new", bad)])).endswith("(exit 1); its last log lines:\n  cannot bind")


def test_memory_that_ran_out_is_no_mere_crash() -> None:
    bad = container(state=BACKOFF, lastState=ended(137, reason="OOMKilled"), restartCount=1)
    spec = {"containers": [{"name": "web", "resources": {"limits": {"memory": "64Mi"}}}]}
    assert why(Evidence([pod("web-1", "new", bad, spec=spec)])) == (
        "container web: out of memory (limit 64Mi); it was restarted"
    )


def test_a_kill_that_nobody_asked_for_is_told_as_what_it_probably_is() -> None:
    """containerd may miss the kernel's event, and then says no more than `Error`."""
    bad = container(state=BACKOFF, lastState=ended(137, reason="Error"), restartCount=1)
    limited = {"containers": [{"name": "web", "resources": {"limits": {"memory": "64Mi"}}}]}
    starved = pod("web-1", "new", bad, spec=limited)
    assert why(Evidence([starved])) == ("container web: killed: out of memory, it seems (limit 64Mi); it was restarted")
    asked = {
        "reason": "Killing",
        "message": "Liveness probe failed",
        "involvedObject": {"uid": starved["metadata"]["uid"]},
    }
    assert "memory" not in why(Evidence([starved], [asked]))
    assert "memory" not in why(Evidence([pod("web-1", "new", bad)]))


def test_a_pod_without_a_node_says_what_the_scheduler_said() -> None:
    said = "0/2 nodes are available: 2 Insufficient memory."
    waits = pod("web-1", phase="Pending", conditions=[{"type": "PodScheduled", "status": "False", "message": said}])
    waits["status"]["containerStatuses"] = []
    assert why(Evidence([waits])) == f"no node can take it: {said}"


def test_a_probe_that_fails_is_told_with_its_answer_and_the_log() -> None:
    found = Evidence(
        [pod(ready=False)],
        [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")],
        {("web-1", "web"): "listening"},
    )
    said = "readiness probe failed: HTTP probe failed with statuscode: 503; its last log lines:\n  listening"
    assert why(found) == said


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ('Error creating: pods "web-1" is forbidden: violates PodSecurity "restricted": runAsNonRoot', "forbids these"),
        ('Error creating: pods "web-1" is forbidden: exceeded quota: small', "quota is used up"),
        ("Error creating: admission webhook said no", "no pod can be made: admission webhook said no"),
    ],
)
def test_where_there_is_no_pod_its_maker_says_why(message: str, wanted: str) -> None:
    assert wanted in why(Evidence([], [event("FailedCreate", message, uid="uid-set")]))


def test_events_of_another_pod_say_nothing() -> None:
    assert (
        why(Evidence([pod(ready=False)], [event("Unhealthy", "it fails", uid="uid-other")])) == "the pods are running"
    )


def test_an_image_wins_over_what_follows_from_it() -> None:
    bad = pod("web-1", "new", container(state=waiting("ErrImagePull", "not found"), image="x:9"), ready=False)
    events = [event("Unhealthy", "Readiness probe failed")]
    assert "cannot be pulled" in why(Evidence([pod("web-2", ready=False), bad], events))


def test_a_container_that_has_done_its_work_is_no_trouble() -> None:
    assert troubled(pod(init=[container("init", ended(0))])) == [("web", False)]
    assert troubled(pod("web-1", "new", container(state=BACKOFF, lastState=ended(1)))) == [("web", True)]


leaf = st.none() | st.booleans() | st.integers(-5, 300) | st.text(max_size=20)
words = st.sampled_from(
    ["waiting", "running", "terminated", "reason", "message", "exitCode", "name", "state", "status"]
)


@given(
    st.lists(
        st.fixed_dictionaries({"name": st.text(max_size=5)}, optional={"state": st.dictionaries(words, st.just({}))})
    ),
    st.lists(
        st.fixed_dictionaries({"reason": st.sampled_from(["Failed", "Unhealthy", "FailedCreate"]), "message": leaf})
    ),
    st.text(max_size=50),
)
def test_there_always_is_a_reason(statuses: list[Any], events: list[Any], log: str) -> None:
    assert why(Evidence([pod("web-1", "new", *statuses, ready=False)], events, {("web-1", "web"): log}))
    assert why(Evidence([], events))
