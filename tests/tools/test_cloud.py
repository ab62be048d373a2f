"""`make cloud`: what is said before money is spent, the order of the steps, and that nothing is left unsaid at the end.

No cloud is asked: what would be done there is written down by one that is made up.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

import cloud
from anytier.errors import AnytierError, ConfigError, UsageError, leaves
from anytier.report.plan.graph import Graph, Node

TODAY = datetime.date(2026, 11, 29)
COSTS = {
    "region": "eu-central-1",
    "controlPlanes": 1,
    "nodes": [{"pool": "main", "types": ["m6i.large"], "min": 2, "max": 4, "spot": False, "diskGiB": 50}],
    "natGateways": 1,
}


def node(type: str, name: str, component: bool = False, **inputs: Any) -> Node:
    return Node(key=f"{type}::{name}", type=type, name=name, component=component, inputs=inputs)


GRAPH = Graph(
    project="anytier",
    stack="eks",
    resources=(
        node("anytier:tier:Eks", "eks", component=True),
        node("pulumi:providers:kubernetes", "cluster"),
        node("aws:eks/cluster:Cluster", "cluster", version="1.35"),
        node("aws:ec2/vpc:Vpc", "vpc"),
        node("kubernetes:apps/v1:Deployment", "web"),
    ),
    exports={"costs": COSTS},
)


class Made:
    """A cloud that writes down what it is asked to do. `leaves`: what is still there after each destroy, in turn."""

    stack, tier = "eks", "eks"

    def __init__(
        self,
        *leaves: list[str],
        wrong: AnytierError | None = None,
        good: bool = True,
        stops: str = "",
        graph: Graph | None = GRAPH,
    ) -> None:
        self.did: list[str] = []
        self._leaves = list(leaves) or [[]]
        self._wrong, self._good, self._stops, self._graph = wrong, good, stops, graph

    def _do(self, step: str) -> None:
        self.did.append(step)
        if step == self._stops:
            raise KeyboardInterrupt

    def refused(self) -> list[AnytierError]:
        self._do("refused")
        return [self._wrong] if self._wrong else []

    def planned(self) -> Graph:
        self._do("planned")
        if self._graph is None:
            raise ExceptionGroup("plan", [AnytierError("", "anytier:eks.version: is gone")])
        return self._graph

    def tried(self) -> bool:
        self._do("tried")
        return self._good

    def left(self) -> list[str]:
        self._do("left")
        return self._leaves[0]

    def destroyed(self) -> None:
        if len(self._leaves) > 1:
            self._leaves.pop(0)
        self._do("destroyed")

    def way_back(self) -> str:
        return "pulumi destroy"


def run(made: Made, yes: bool = True, answer: bool = False) -> tuple[int, list[str]]:
    said: list[str] = []

    def ask(question: str) -> bool:
        made.did.append("asked")
        return answer

    return cloud.run(made, yes, ask, said.append), said


# the order of the steps


def test_it_refuses_plans_says_asks_tries_and_looks_at_what_is_left() -> None:
    made = Made()
    code, said = run(made, yes=False, answer=True)
    assert (code, made.did) == (0, ["refused", "planned", "asked", "tried", "left"])
    costs = next(number for number, line in enumerate(said) if line.startswith("costs"))
    assert costs < next(number for number, line in enumerate(said) if "nothing is left" in line)
    assert "key of KMS" in "\n".join(said)  # what no destroy takes is told all the same


def test_a_yes_beforehand_is_not_asked_again() -> None:
    made = Made()
    assert run(made)[0] == 0 and "asked" not in made.did


def test_without_a_yes_nothing_is_made() -> None:
    made = Made()
    code, said = run(made, yes=False)
    assert (code, made.did, said[-1]) == (1, ["refused", "planned", "asked"], "nothing was made")


def test_what_stands_in_the_way_is_told_before_anything_else() -> None:
    made = Made(wrong=ConfigError("aws", "nobody is logged in to AWS here", "`aws sso login`"))
    with pytest.raises(ExceptionGroup) as caught:
        run(made)
    assert [str(item) for item in leaves(caught.value)] == ["aws: nobody is logged in to AWS here -> `aws sso login`"]
    assert made.did == ["refused"]


def test_a_stack_that_has_no_plan_is_not_asked_about() -> None:
    made = Made(graph=None)
    with pytest.raises(ExceptionGroup):
        run(made)
    assert made.did == ["refused", "planned"]


def test_a_check_that_fails_is_the_end_of_the_run_and_not_of_the_clean_up() -> None:
    made = Made(good=False)
    assert run(made)[0] == 1 and made.did[-1] == "left"


def test_an_interruption_ends_with_a_look_at_what_is_left() -> None:
    made = Made(stops="tried")  # the suite itself destroys before it passes the interruption on
    code, said = run(made)
    assert (code, made.did) == (130, ["refused", "planned", "tried", "left"])
    assert any("nothing is left" in line for line in said)


@pytest.mark.parametrize("stops", ["", "tried"])
def test_what_the_first_destroy_left_is_destroyed_once_more(stops: str) -> None:
    made = Made(["aws:eks/cluster:Cluster cluster c-1"], [], stops=stops)
    code, said = run(made)
    assert made.did == ["refused", "planned", "tried", "left", "destroyed", "left"]
    assert code == (130 if stops else 0) and not any(line.startswith("LEFT") for line in said)


@pytest.mark.parametrize("stops", ["", "destroyed"])
def test_what_is_left_in_the_end_is_named_with_the_way_back(stops: str) -> None:
    """Also where a second Ctrl-C has ended the second destroy."""
    vpc = "aws:ec2/vpc:Vpc vpc v-1"
    made = Made(["aws:eks/cluster:Cluster cluster c-1", vpc], [vpc], stops=stops)
    code, said = run(made)
    assert code == 1 and said[-2:] == [f"LEFT    {vpc}", "it goes on costing -> pulumi destroy"]


def test_a_run_that_breaks_tells_what_is_left_before_why() -> None:
    class Broken(Made):
        def tried(self) -> bool:
            raise AnytierError("conformance", "there is no engine")

    made, said = Broken(["aws:ec2/vpc:Vpc vpc v-1"]), list[str]()
    with pytest.raises(AnytierError, match="there is no engine"):
        cloud.run(made, True, lambda question: True, said.append)
    assert made.did[-2:] == ["destroyed", "left"] and said[-2] == "LEFT    aws:ec2/vpc:Vpc vpc v-1"


def test_a_closed_terminal_is_an_interruption_too() -> None:
    import os
    import signal

    before = signal.getsignal(signal.SIGHUP)
    with pytest.raises(KeyboardInterrupt), cloud.interruptible():
        os.kill(os.getpid(), signal.SIGHUP)
        signal.pause()
    assert signal.getsignal(signal.SIGHUP) == before


# what is said first


def test_an_hour_is_told_with_its_sources_and_what_has_no_price() -> None:
    said = list(cloud.announced(Made(), GRAPH, TODAY))
    assert "stack eks, tier eks" in said[0] and "eu-central-1" in said[0]
    assert said[1] == "makes   3 resources: aws 2, kubernetes 1"
    assert said[2] == "costs   at least $0.33 an hour by list prices, without taxes"
    assert "$0.10  standard control plane (AWS" in said[3] and "$0.23  2 × m6i.large (" in said[4]
    assert said[5].strip().startswith("no price here for: 100 GiB of disks, 1 NAT gateway")
    assert "destroy" in said[6]


def test_what_nobody_knows_is_said_to_be_unknown() -> None:
    said = list(cloud.announced(Made(), GRAPH.model_copy(update={"exports": {}}), TODAY))
    assert "costs   an amount that is not known" in said[2]


def test_nobody_there_to_be_asked_is_told_the_way_to_say_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(UsageError, match="YES=1"):
        cloud.asked("?")


@pytest.mark.parametrize(("typed", "meant"), [("y", True), ("Yes ", True), ("", False), ("no", False), ("yse", False)])
def test_only_a_yes_is_one(typed: str, meant: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: typed)
    assert cloud.asked("?") is meant


# what is refused


def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tier: str = "eks", **options: Any) -> cloud.Real:
    import yaml

    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: anytier\nruntime: python\nstackConfigDir: stacks\n")
    config = {"anytier:tier": tier, "anytier:app": "app.yaml", f"anytier:{tier}": options}
    (tmp_path / "stacks" / "Pulumi.mine.yaml").write_text(yaml.safe_dump({"config": config}))
    monkeypatch.setattr(cloud, "ROOT", tmp_path)
    return cloud.Real("mine")


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No login, no command, no daemon."""
    import os

    for name in list(os.environ):
        if name.startswith(("AWS_", "ARM_", "AZURE_", "GOOGLE_", "GCE_", "GCLOUD_", "DOCKER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


LOGINS = {"eks": "aws sso login", "gke": "gcloud auth application-default login", "aks": "az login"}


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("tier", LOGINS)
def test_nobody_logged_in_is_one_line_whatever_else_is_missing(
    tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real(tmp_path, monkeypatch, tier)
    assert cloud.main(["mine"]) == 1
    head, do = capsys.readouterr().err.splitlines()
    assert "nobody is logged in to" in head and LOGINS[tier] in do


SOMEBODY = {
    "eks": {"AWS_PROFILE": "me"},
    "gke": {"GCE_METADATA_HOST": "m"},
    "aks": {"ARM_CLIENT_ID": "i", "ARM_CLIENT_SECRET": "s"},
}


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("tier", SOMEBODY)
def test_what_would_fail_once_it_is_paid_for_is_refused_before(
    tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SOMEBODY[tier].items():
        monkeypatch.setenv(name, value)
    closed = {"endpoint": "private"} if tier == "gke" else {}
    found = real(tmp_path, monkeypatch, tier, protect=True, **closed).refused()
    commands = {"eks": ["aws"], "gke": ["gke-gcloud-auth-plugin"], "aks": ["kubelogin", "az"]}[tier]
    way_in = f"anytier:{tier}.{'endpoint' if tier == 'gke' else 'access'}"
    assert [item.path for item in found] == [
        f"anytier:{tier}.protect",
        way_in,
        *commands,
        "kubectl",
        f"anytier:{tier}.builder",
    ]
    assert all(item.what and item.do for item in found)


@pytest.mark.usefixtures("nobody")
def test_a_stack_of_another_tier_costs_nothing_and_is_sent_to_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (error,) = real(tmp_path, monkeypatch, "docker").refused()
    assert "is of tier docker" in error.what and error.do == "`anytier conformance -s mine` tries it"


def test_a_mistyped_stack_gets_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cloud.main(["esk"]) == 1
    assert "did you mean 'eks'?" in capsys.readouterr().err


@pytest.mark.parametrize("given", ['{"protect": true}', {"protect": True}])
def test_options_are_read_as_a_mapping_or_as_its_text(given: Any) -> None:
    assert cloud.options_of({"anytier:eks": given}, "eks") == {"protect": True}
    assert cloud.options_of({"anytier:eks": "nonsense"}, "eks") == cloud.options_of({}, "eks") == {}


# what is left


class FakeTrial:
    name = "anytier-test-0"

    def __init__(self, folder: Path, *states: list[str]) -> None:
        self.folder, self._states, self.did = folder, list(states), list[str]()

    def urns(self) -> dict[str, dict[str, Any]]:
        return {
            f"urn:pulumi:s::p::{type}::it": {"type": type, "id": "i-1"}
            for type in ["pulumi:pulumi:Stack", "pulumi:providers:aws", *self._states[0]]
        }

    def pulumi(self, *args: str) -> None:
        self.did.append(" ".join(args))
        self._states.pop(0)

    def forget(self) -> None:
        self.did.append("forget")
        self.folder.rmdir()


def test_what_the_suite_has_kept_the_state_of_is_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = real(tmp_path, monkeypatch)
    assert found.left() == []  # nothing was tried
    kept = tmp_path / "kept"
    kept.mkdir()
    found._trial = trial = FakeTrial(kept, ["aws:ec2/vpc:Vpc", "aws:eks/cluster:Cluster"], ["aws:ec2/vpc:Vpc"], [])
    assert found.left() == ["aws:ec2/vpc:Vpc it i-1", "aws:eks/cluster:Cluster it i-1"]
    found.destroyed()
    assert found.left() == ["aws:ec2/vpc:Vpc it i-1"] and str(kept / "env") in found.way_back()
    found.destroyed()
    assert trial.did[-1] == "forget" and found.left() == []
