"""Machines become a cluster: tier kubeadm, and the same kubeadm commands by hand over SSH.

Both begin with machines that have containerd and nothing of Kubernetes, send the same bundle, and are measured until
all nodes are Ready. By hand the network is a bridge and three routes, without an agent; ours has the preflight, the
hardening, flannel and the storage class in its time, and the engine. What `up` takes to its end, with an app of one
pod, and once more without a change, is told beside it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from anytier.bundle.manifest import Bundle
from anytier.conformance.trial import free_ports
from anytier.render.kubernetes.addons.local_path import HELPER
from benchmarks.measure import CommandFailed
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import kubernetes_plugin, ours

READY = Limit("ratio", 1.2)
LONGEST = 900.0  # seconds until the nodes are Ready
Sample = Mapping[str, float]


def run(options: Options) -> list[Row]:
    count = 1 if options.quick else 3
    bundle = Bundle.read(software())
    kubernetes_plugin()
    ways = {"anytier": by_anytier, "by hand": by_hand}
    samples: dict[str, list[Sample]] = {name: [] for name in ways}
    for index in range(min(options.repeat, 3)):
        for name in list(ways)[:: 1 if index % 2 == 0 else -1]:
            with boxes(count) as made:
                samples[name].append(ways[name](made, bundle))
    return rows(count, samples)


def rows(count: int, samples: Mapping[str, Sequence[Sample]]) -> list[Row]:
    mine, theirs = samples["anytier"], samples["by hand"]
    what = f"a cluster of {count} machine{'s' if count > 1 else ''}"
    beside = "kubeadm by hand"
    return [
        Row(f"{what}, nodes Ready", "s", _all(mine, "ready"), beside, _all(theirs, "ready"), READY),
        Row(f"{what}, `up` with one pod", "s", _all(mine, "whole")),
        Row(f"{what}, nothing to change", "s", _all(mine, "unchanged")),
    ]


def _all(samples: Sequence[Sample], key: str) -> list[float]:
    return [sample[key] for sample in samples]


def software() -> Path:
    """The bundle that set-up has, or makes."""
    if given := os.environ.get("ANYTIER_TEST_BUNDLE"):
        return Path(given)
    made: Path = import_module("kubernetes_bundle").ensure(import_module("bootstrap.paths").Paths.here())
    return made


@contextlib.contextmanager
def boxes(count: int) -> Any:
    """Fresh ones, as the tests have them; gone afterwards however it went. Needs a Docker daemon."""
    with tempfile.TemporaryDirectory(prefix="anytier-test-") as folder:
        with import_module("tests.provider.kubeadm.box").kube_boxes(Path(folder), count) as made:
            yield made


# the two ways


def by_hand(made: Sequence[Any], bundle: Bundle) -> Sample:
    start = time.monotonic()
    import_module("tests.provider.kubeadm.byhand").up(made, bundle)
    return {"ready": time.monotonic() - start}


def by_anytier(made: Sequence[Any], bundle: Bundle) -> Sample:
    port, tls_port = free_ports(2)
    config = {"anytier:port": port, "anytier:tlsPort": tls_port, "anytier:kubeadm": stack_config(made, bundle)}
    with ours(spec(), "kubeadm", config) as stack, ThreadPoolExecutor(1) as pool:
        start = time.monotonic()
        running = pool.submit(stack.up)
        ready = until_ready(made, start, running)
        return {"ready": ready, "whole": running.result(), "unchanged": stack.no_change()}


def stack_config(made: Sequence[Any], bundle: Bundle) -> dict[str, Any]:
    """127.0.0.1 is where whoever waits reaches the API server of either."""
    quirks: dict[str, Any] = import_module("tests.provider.kubeadm.box").QUIRKS
    machines = [{**box.machine(), "name": f"box{number}"} for number, box in enumerate(made, 1)]
    machines[0] |= {"role": "control-plane", "taints": []}
    return {"machines": machines, "bundle": str(bundle.path), "certSANs": ["127.0.0.1"], **quirks}


def spec() -> str:
    """One pod of an image that the bundle brings."""
    container = {"image": HELPER, "command": ["sleep"], "args": ["86400"], "user": "65534"}
    body = {"containers": {"app": container}, "update": {"minHealthyTime": "0s"}}
    app = {"apiVersion": "anytier.dev/v1", "kind": "App", "metadata": {"name": "bench"}, "workloads": {"app": body}}
    return yaml.safe_dump(app, sort_keys=False)


def until_ready(made: Sequence[Any], start: float, running: Future[float]) -> float:
    """Seconds. CommandFailed if `up` ends in an error, or if it takes too long."""
    byhand = import_module("tests.provider.kubeadm.byhand")
    while time.monotonic() - start < LONGEST:
        if running.done():
            running.result()
        # No API server yet, or one that does not answer: to be asked again, whatever the error is.
        with contextlib.suppress(Exception):
            byhand.wait_ready(byhand.kubeconfig(made[0]), len(made), 1)
            return time.monotonic() - start
        time.sleep(0.2)
    raise CommandFailed(f"the nodes are not Ready after {LONGEST:g} s")
