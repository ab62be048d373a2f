"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from bootstrap import engine, plugin
from bootstrap.paths import Paths

# The SDKs of clouds are in a folder beside the environment (tools/clouds.py): `make test-clouds` names it.
if clouds := os.environ.get("ANYTIER_CLOUDS"):
    sys.path.append(clouds)

# How long an example takes says something of the machine and what else runs on it, not of the code.
settings.register_profile("anytier", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anytier")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="write golden files anew from what is there now")


CLUSTERS = (
    "e2e/test_kubeadm",
    "conformance_kubeadm",
    "ingress_kubeadm",
    "policies_kubeadm",
    "metrics_kubeadm",
    "conformance_managed",
    "measure_kubeadm",
    "shop_kubeadm",
    "provider/kubeadm",
    "cluster_is_what_happens",
)
GUESTS = (
    "provider/libvirt",
    "e2e/test_libvirt",
    "conformance_libvirt",
    "measure_libvirt",
    "shop_libvirt",
    "vm_cluster",
    "docker_vm",
)
API_SERVERS = ("provider/kubernetes", "e2e/test_kubernetes", "test_api_server", "kubernetes/test_traefik")
# Group -> parts of the names of its tests; the rest looks at this machine itself. Each has something to itself.
GROUPS = {
    "shop": ("e2e/test_shop.py", "e2e/test_shop_local", "test_packages_on_ssh", "of_the_shop_shows"),
    "standins": ("e2e/test_standins",),
    "daemon": ("provider/docker", "conformance_docker", "measure_docker", "on_systemd", "happens[docker]"),
    "boxes": ("conformance_systemd", "conformance_baremetal", "machine_gone", "on_ssh", "of_machines_is_what_happens"),
    "bare": ("on_several", "docker_engine", "docker_on_machine"),
    "kubernetes": API_SERVERS,
    "heavy": CLUSTERS + GUESTS,  # either wants most of a core
}


def group_of(nodeid: str) -> str:
    return next((group for group, parts in GROUPS.items() if _named(nodeid, parts)), "machine")


def _named(nodeid: str, parts: tuple[str, ...]) -> bool:
    return any(part in nodeid for part in parts)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on clusters want software that takes half an hour to build; tools/e2e.sh says whether it is there."""
    if reason := os.environ.get("ANYTIER_WITHOUT_CLUSTER"):
        for item in items:
            if _named(item.nodeid, API_SERVERS + CLUSTERS) and item.get_closest_marker("e2e"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadgroup` what looks at all of a daemon, or of this machine, does not run beside its like.

    By the names of tests: with pytest 9.2 the marks that xdist 3.8 has for this change nothing.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False  # as they are collected: the long ones are not the last
    return ByGroup(config, log)


if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell's background job ignores Ctrl-C and hands that on; what is interrupted in tests must notice.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def pulumi_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the real engine runs: a home and a file backend of its own, this Python first on PATH."""
    home = tmp_path_factory.mktemp("pulumi")
    (home / "state").mkdir()
    for folder in (plugin.home(), plugin.cached(Paths.here())):  # else `kubernetes_plugin` gets it
        if (folder / plugin.NAME).is_file() and not plugin.home(home / "home").is_dir():
            plugin.place(folder, plugin.home(home / "home"))
    folders = [str(Path(sys.executable).parent), str(_engine_folder()), os.environ.get("PATH", "")]
    return {
        **os.environ,
        "PATH": os.pathsep.join(folders),
        "PULUMI_HOME": str(home / "home"),
        "PULUMI_BACKEND_URL": f"file://{home / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "for tests only",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
        "NO_COLOR": "1",
    }


@pytest.fixture(scope="session")
def kubernetes_plugin(pulumi_env: dict[str, str]) -> None:
    """The engine's Kubernetes plugin is in its home. Minutes, where it has to be built."""
    target = plugin.home(Path(pulumi_env["PULUMI_HOME"]))
    if not target.is_dir():
        plugin.place(plugin.made(Paths.here(), plugin.compiled), target)


def _engine_folder() -> Path:
    """Where `pulumi` and its Python host are. Their absence is a failure: a test that is skipped proves nothing."""
    known = engine.remembered(Paths.here())
    if known is None:
        pytest.fail("set-up has got no Pulumi engine for this clone; run: make engine", pytrace=False)
    return Path(known.folder)
