"""Tier gke before anything is registered: what its config may say, what is decided of it, and what it refuses."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from anytier.config import read
from anytier.errors import AnytierError, leaves
from anytier.tiers import gke, gkeplan
from anytier.tiers.gkeargs import EXTENDED, REGIONS, TYPES, VERSIONS, GkeArgs, family
from anytier.tiers.gkeplan import Plan, called, costs, decide, kubeconfig, needs_hyperdisk, window
from anytier.tiers.managed import SIZES

TODAY = datetime.date(2026, 11, 28)


def args(**given_: Any) -> GkeArgs:
    return GkeArgs.model_validate(given_)


def decided(region: str | None = "europe-west3", project: str | None = "my-project", **given_: Any) -> Plan:
    return decide(args(**given_), project, region, "prod", "shop", TODAY)


def refused(**given_: Any) -> dict[str, AnytierError]:
    """What is wrong, by its path."""
    with pytest.raises(ExceptionGroup) as caught:
        decided(**given_)
    found = [item for item in leaves(caught.value) if isinstance(item, AnytierError)]
    assert found and len(found) == len(leaves(caught.value)) and all(item.do for item in found)
    return {item.path: item for item in found}


# what may be said


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Prod"},
        {"name": "1prod"},
        {"name": "a" * 41},
        {"name": "prod-"},
        {"mode": "auto"},
        {"version": "1.20"},
        {"version": "1.35.2"},
        {"version": "latest"},
        {"channel": "None"},
        {"nodes": [{"min": -1}]},
        {"nodes": [{"min": 1.5}]},
        {"nodes": [{"min": 0, "max": 0}]},
        {"nodes": [{"min": 3, "max": 2}]},
        {"nodes": [{"count": 3}]},
        {"nodes": [{"name": "Main"}]},
        {"zones": ["europe-west3"]},
        {"network": "10.0.0.0"},
        {"network": "10.0.0.1/20"},
        {"network": "8.8.0.0/20"},
        {"network": "10.0.0.0/30"},
        {"pods": "10.64.0.0/24"},
        {"pods": "fd00::/48"},
        {"services": "10.1.0.0/28"},
        {"services": "10.0.0.0/8"},
        {"endpoint": "open"},
        {"access": ["0.0.0.0/0"]},
        {"access": ["everybody"]},
        {"builder": "tcp://10.0.0.1:2375"},
        {"builder": "docker"},
        {"maintenance": {"start": "2:00"}},
        {"maintenance": {"start": "24:00"}},
        {"maintenance": {"hours": 3}},
        {"maintenance": {"days": []}},
        {"maintenance": {"days": ["MO"], "hours": 8}},
        {"maintenance": {"days": ["Monday"]}},
        {"labels": {"a b": "c"}},
        {"protect": "maybe"},
        {"node": []},
    ],
)
def test_a_wrong_option_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        args(**wrong)


def test_a_wrong_option_is_named_by_its_path_with_the_nearest_one() -> None:
    values = {"app": "a.yaml", "tier": "gke"}
    for wrong, path in (
        ({"mods": "autopilot"}, "mods"),
        ({"nodes": [{"sise": "small"}]}, "nodes.0.sise"),
        ({"access": ["0.0.0.0/0"]}, "access.0"),
        ({"maintenance": {"start": "x"}}, "maintenance.start"),
    ):
        with pytest.raises(ExceptionGroup) as caught:
            read({**values, "gke": json.dumps(wrong)})
        assert [getattr(error, "path", "") for error in caught.value.exceptions] == [f"anytier:gke.{path}"]


def test_the_mode_is_the_capability_tables() -> None:
    values = {"app": "a.yaml", "tier": "gke"}
    assert read(values).mode == "standard"
    assert read({**values, "gke": '{"mode": "autopilot"}'}).mode == "autopilot"


# what is refused


@pytest.mark.parametrize(
    ("wrong", "path", "said"),
    [
        ({"project": None}, "gcp:project", "is not set"),
        ({"project": "123456789012"}, "gcp:project", "number"),
        ({"project": "My Project"}, "gcp:project", "no project's id"),
        ({"project": "a; rm -rf"}, "gcp:project", "no project's id"),
        ({"region": None}, "gcp:region", "is not set"),
        ({"region": "europe-west33"}, "gcp:region", "did you mean"),
        ({"region": "eu-central-1"}, "gcp:region", "no region"),
        ({"region": "europe-west3-a"}, "gcp:region", "is a zone"),
        ({"zones": ["europe-west1-b"]}, "anytier:gke.zones.0", "is not in europe-west3"),
        ({"zones": ["europe-west3-a", "europe-west3-a"]}, "anytier:gke.zones.1", "named twice"),
        ({"nodes": []}, "anytier:gke.nodes", "names no pool"),
        ({"nodes": [{"min": 0, "max": 2}]}, "anytier:gke.nodes", "has a machine to begin with"),
        ({"nodes": [{}, {}]}, "anytier:gke.nodes.1.name", "pool 0"),
        ({"nodes": [{"size": "huge"}]}, "anytier:gke.nodes.0.size", "neither small, medium, large"),
        ({"nodes": [{"size": "mediun"}]}, "anytier:gke.nodes.0.size", "did you mean 'medium'"),
        ({"nodes": [{"size": "m5.large"}]}, "anytier:gke.nodes.0.size", "machine type"),
        ({"nodes": [{"size": "c4a-standard-4", "arch": "amd64"}]}, "anytier:gke.nodes.0.arch", "is arm64"),
        ({"nodes": [{}, {"name": "arm", "arch": "arm64"}]}, "anytier:gke.nodes.1.size", "no volume could move"),
        ({"nodes": [{"min": 400, "max": 450}], "pods": "10.64.0.0/16"}, "anytier:gke.pods", "room for 256"),
        ({"nodes": [{"min": 30, "max": 60}], "network": "10.0.0.0/27"}, "anytier:gke.network", "room for 28"),
        ({"version": "1.33"}, "anytier:gke.version", "is gone: GKE had it until 2026-08-03"),
        ({"pods": "10.0.8.0/21"}, "anytier:gke.pods", "overlaps `network`"),
        ({"services": "10.64.0.0/20"}, "anytier:gke.services", "overlaps `pods`"),
        ({"mode": "autopilot", "nodes": [{}]}, "anytier:gke.nodes", "mode standard"),
        ({"mode": "autopilot", "zones": ["europe-west3-a"]}, "anytier:gke.zones", "mode standard"),
        ({"endpoint": "public"}, "anytier:gke.endpoint", "nobody may come in"),
        ({"access": ["203.0.113.7/32"]}, "anytier:gke.access", "there is none"),
        ({"labels": {"anytier-stack": "x"}}, "anytier:gke.labels", "is ours"),
        ({"labels": {"Team": "x"}}, "anytier:gke.labels", "no label of Google Cloud"),
    ],
)
def test_what_cannot_be_is_told_with_its_path_and_a_way_out(wrong: dict[str, Any], path: str, said: str) -> None:
    found = refused(**wrong)
    assert list(found) == [path]
    assert said in found[path].what


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = refused(project=None, region="nowhere", nodes=[{"size": "huge"}], pods="10.0.8.0/21")
    assert set(found) == {"gcp:project", "gcp:region", "anytier:gke.nodes.0.size", "anytier:gke.pods"}


def test_a_version_that_is_gone_elsewhere_is_still_there_on_the_extended_channel() -> None:
    assert decided(version="1.33", channel="extended").minor == "1.33"
    assert "ended 2026-08-03" in str(EXTENDED.warning("1.33", TODAY))
    assert "1.35, 1.36" in refused(version="1.33")["anytier:gke.version"].do


def test_a_region_newer_than_the_list_is_known_by_its_zones() -> None:
    plan = decided(region="europe-north9", zones=["europe-north9-a", "europe-north9-b"])
    assert plan.zones == ("europe-north9-a", "europe-north9-b")


# what is decided


def test_the_shortest_config_is_three_zones_and_two_machines() -> None:
    plan = decided()
    assert plan.zones == ("europe-west3-a", "europe-west3-b", "europe-west3-c")
    [pool] = plan.pools
    assert (pool.type, pool.low, pool.high, pool.first, pool.zones) == ("e2-standard-2", 2, 4, 1, plan.zones)
    assert re.fullmatch("anytier-prod-[0-9a-f]{6}", plan.name) and plan.account == f"{plan.name}-nodes"


def test_every_region_has_three_zones() -> None:
    assert len(REGIONS) > 40
    for region in REGIONS:
        assert len(decided(region=region).zones) == 3
    assert decided(region="europe-west1").zones[0] == "europe-west1-b"


def test_every_word_for_a_size_holds_what_it_promises_as_far_as_a_type_says_it() -> None:
    assert set(TYPES) == set(SIZES)
    for size, types in TYPES.items():
        for arch, type_ in types.items():
            found = family(type_)
            assert found is not None and found[0] == arch
            cores = re.search(r"-(\d+)$", type_)
            assert cores is None or int(cores[1]) >= SIZES[size][0]


def test_a_pool_is_in_no_more_zones_than_it_may_have_machines() -> None:
    [pool] = decided(nodes=[{"min": 1, "max": 1}]).pools
    assert pool.zones == ("europe-west3-a",) and pool.first == 1


def named(**nodes: Any) -> str:
    return decided(nodes=[nodes]).pools[0].name


@pytest.mark.parametrize("change", [{"size": "large"}, {"spot": True}, {"disk": 100}, {"size": "n2-standard-2"}])
def test_another_kind_of_machine_is_another_pool(change: dict[str, Any]) -> None:
    assert named(**change) != named()
    assert re.fullmatch(r"main-[0-9a-f]{8}", named(**change))


@pytest.mark.parametrize("change", [{"min": 5, "max": 9}, {"labels": {"disk": "ssd"}}, {"size": "e2-standard-2"}])
def test_what_changes_in_place_is_the_same_pool(change: dict[str, Any]) -> None:
    assert named(**change) == named()


def test_other_ranges_for_pods_are_another_subnet() -> None:
    assert decided(pods="10.128.0.0/14").subnet != decided().subnet == decided(network="10.0.0.0/19").subnet


def test_arm_machines_have_hyperdisks() -> None:
    plan = decided(nodes=[{"arch": "arm64"}])
    assert plan.hyperdisk and plan.pools[0].disk == "hyperdisk-balanced"
    assert needs_hyperdisk(plan.args) and not needs_hyperdisk(args()) and not needs_hyperdisk(args(nodes=[{}]))
    assert needs_hyperdisk(args(nodes=[{"size": "n4-standard-2"}]))


NAMES = st.text(alphabet="abcXYZ0189-_.", min_size=1, max_size=100)


@given(NAMES, NAMES, st.sampled_from(["shop", "mail"]))
def test_a_cluster_has_a_name_that_google_takes_and_no_other_stack_has(one: str, other: str, owner: str) -> None:
    """Nor one of the same name in another Pulumi project: most people's first stack here is called `gke`."""
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,38}[a-z0-9]", called(one, "shop"))
    assert (called(one, "shop") == called(other, owner)) == ((one, "shop") == (other, owner))
    account = decide(args(), "my-project", "europe-west3", one, "shop", TODAY).account
    assert re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", account)


@given(st.text(min_size=1, max_size=80))
def test_whatever_a_stack_is_called_its_label_is_one(stack: str) -> None:
    label = decide(args(), "my-project", "europe-west3", stack, "shop", TODAY).labels["anytier-stack"]
    assert re.fullmatch(r"[a-z0-9_-]{1,63}", label)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(4, 24))
def test_the_window_is_as_long_as_asked(hour: int, minute: int, hours: int) -> None:
    plan = decided(maintenance={"start": f"{hour:02}:{minute:02}", "hours": hours, "days": ["SU", "MO", "SA"]})
    start, end, recurrence = window(plan)
    assert datetime.datetime.fromisoformat(end) - datetime.datetime.fromisoformat(start) == datetime.timedelta(
        hours=hours
    )
    assert recurrence == "FREQ=WEEKLY;BYDAY=MO,SA,SU"


def test_the_defaults_have_no_address_in_common() -> None:
    nets = [ipaddress.ip_network(net) for net in (args().network, args().pods, args().services)]
    assert not any(a.overlaps(b) for a in nets for b in nets if a is not b)


def test_the_dates_are_in_order() -> None:
    for versions in (VERSIONS, EXTENDED):
        assert versions.over(versions.default, TODAY, "") is None
        assert all(item.usual <= item.last for item in versions.minors.values())


# the way in


@pytest.mark.parametrize(
    ("asked", "server", "authority"),
    [
        ({}, "https://gke-1.europe-west3.gke.goog", ""),
        ({"endpoint": "private"}, "https://10.0.0.2", "Y2E="),
        ({"endpoint": "public", "access": ["203.0.113.7/32"]}, "https://203.0.113.9", "Y2E="),
    ],
)
def test_the_kubeconfig_leads_there_and_holds_no_credentials(asked: Any, server: str, authority: str) -> None:
    plan = decided(**asked)
    text = kubeconfig(
        plan, dns="gke-1.europe-west3.gke.goog", address="203.0.113.9", private="10.0.0.2", authority="Y2E="
    )
    made = json.loads(text)
    assert made["clusters"][0]["cluster"] == {"server": server, "certificate-authority-data": authority}
    [user] = made["users"]
    assert set(user["user"]) == {"exec"} and user["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"


def test_nobody_logged_in_is_one_line_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gke, "_PRODUCT", tmp_path / "no-machine-of-google")
    plugin = tmp_path / "gke-gcloud-auth-plugin"
    plugin.write_text("#!/bin/sh\n")
    plugin.chmod(0o755)
    path = {"PATH": str(tmp_path)}
    [error, *_] = gke.missing(path, tmp_path, set())
    assert "nobody is logged in to Google Cloud" in str(error) and "gcloud auth application-default login" in error.do
    assert "\n" not in str(error)
    assert not any(
        "logged in" in str(item) for item in gke.missing({**path, "GCE_METADATA_HOST": "x"}, tmp_path, set())
    )
    kept = tmp_path / ".config/gcloud/application_default_credentials.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{}")
    assert not any("logged in" in str(item) for item in gke.missing(path, tmp_path, set()))


@pytest.mark.parametrize("name", gkeplan.CREDENTIALS.provider)
def test_whoever_only_pulumis_provider_knows_does_not_get_into_the_cluster(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gke, "_of_google", lambda: False)
    monkeypatch.setattr("anytier.tiers.gke.shutil.which", lambda name, path=None: name)
    environment, config = ({}, {name}) if name.startswith("gcp:") else ({name: "secret"}, set())
    [error] = gke.missing(environment, tmp_path, config)
    assert name in error.what and "secret" not in str(error)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in error.do and "gcloud auth application-default login" in error.do
    assert gke.missing(environment, tmp_path, config, preview=True) == []
    key = tmp_path / "key.json"
    key.write_text("{}")
    assert gke.missing({**environment, "GOOGLE_APPLICATION_CREDENTIALS": str(key)}, tmp_path, config) == []


def test_without_the_plugin_nobody_gets_into_the_cluster(tmp_path: Path) -> None:
    found = gke.missing({"PATH": "", "GOOGLE_CREDENTIALS": "{}"}, tmp_path, set())
    assert any(
        "gke-gcloud-auth-plugin is not on PATH" in str(item) and "gcloud components" in item.do for item in found
    )


@pytest.mark.parametrize(
    "code",
    ["from anytier.tiers.registry import tier_class; tier_class('gke')", "import anytier.tiers.docker, anytier.app"],
)
def test_the_clouds_sdk_is_loaded_with_the_first_resource_and_no_sooner(code: str) -> None:
    ours = str(Path(gke.__file__).parents[2])
    setup = f"import sys; sys.path.insert(0, {ours!r}); sys.modules['pulumi_gcp'] = None\n"
    subprocess.run([sys.executable, "-c", setup + code], check=True, timeout=120)


def test_what_the_bill_is_made_of_has_no_prices() -> None:
    told = costs(decided(nodes=[{"min": 3, "max": 6, "spot": True}]))
    assert told["machines"] == [
        {
            "pool": "main",
            "type": "e2-standard-2",
            "min": 3,
            "max": 6,
            "spot": True,
            "disk": "pd-balanced",
            "diskGiB": 50,
        }
    ]
    assert costs(decided(mode="autopilot"))["billedBy"] == "pod requests"


@pytest.mark.parametrize(("least", "begun"), [(0, 0), (1, 2), (2, 3), (3, 3), (4, 6)])
def test_a_pool_begins_with_as_many_machines_in_each_zone_and_they_are_paid_for(least: int, begun: int) -> None:
    first = [] if least else [{"name": "first", "min": 1, "max": 1}]
    told = costs(decided(nodes=[*first, {"min": least}]))
    assert told["machines"][-1]["min"] == begun


def test_what_a_cluster_offers_is_known_without_making_it() -> None:
    made = gke.GkeTier.offered(args(mode="autopilot"), port=80, tls_port=443, stack="prod")
    assert made.offers >= {"load-balancer", "metrics", "network-policy", "storage"}
    assert (made.storage_class, made.cloud, made.mode, made.version) == ("standard-rwo", "gcp", "autopilot", "1.35")
    arm = gke.GkeTier.offered(args(nodes=[{"arch": "arm64"}]), port=80, tls_port=443, stack="prod")
    assert (made.processors, arm.processors) == (("amd64",), ("arm64",))
    assert arm.storage_class == gkeplan.HYPERDISK
