"""Many workloads onto an API server: `pulumi up`, and `kubectl apply --server-side` of the very same objects.

Kubernetes' own control plane without a node, from an empty namespace each time; pods are called Ready as soon as they
are there, by what stands in for a kubelet, so that the figures are of the tools and the control plane. Ours has the
engine, its state and the watch over every rollout in its time; kubectl has only the requests, and beside that its own
wait until all is available. The preview of no change stands beside `kubectl diff`.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from anytier.render.kubernetes import Rendered, Target, render
from anytier.render.kubernetes.finish import finish
from anytier.render.yamltext import dumped_all
from anytier.spec import App
from benchmarks.measure import CommandFailed, timed
from benchmarks.programs import KUBECTL, ensure
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import kubernetes_plugin, program

NS, IMAGE = "anytier-test-bench", "example.org/team/app:1.0"
APPLIED, UNCHANGED = Limit("ratio", 1.5), Limit("ratio", 1.5)
SIZES = (2, 200)
Sample = Mapping[str, float]

PROGRAM = """
    import os
    import pulumi
    from pathlib import Path
    from anytier.app import App
    from anytier.tiers.places import Cluster

    place = Cluster(
        kubeconfig=Path({kubeconfig!r}).read_text(), version="1.34", port=8080, tls_port=8443, address="127.0.0.1",
        addresses=("10.0.0.11",), offers=frozenset(), storage_class=None,
    )
    App("bench", spec={spec!r}, place=place, ns={ns!r}, owner="benchmarks")
"""


@dataclass(frozen=True)
class Bench:
    """`kubeconfig` and `spec` are files; `objects` are what `spec` is on a cluster, in a file of YAML."""

    kubectl: Path
    kubeconfig: Path
    spec: Path
    objects: Path

    def ask(self, *argv: str) -> float:
        """Seconds of a run of kubectl. CommandFailed if it fails."""
        return timed([str(self.kubectl), f"--kubeconfig={self.kubeconfig}", *argv])


def run(options: Options) -> list[Row]:
    kubectl, rows = ensure(KUBECTL), list[Row]()
    kubernetes_plugin()
    for size in (2, 5) if options.quick else SIZES:
        samples: dict[str, list[Sample]] = {"anytier": [], "kubectl": []}
        with place(size, kubectl) as bench:
            for index in range(min(options.repeat, 3)):
                for name in list(samples)[:: 1 if index % 2 == 0 else -1]:
                    samples[name].append(by_anytier(bench) if name == "anytier" else by_kubectl(bench))
        rows += rows_of(size, samples)
    return rows


def rows_of(size: int, samples: Mapping[str, Sequence[Sample]]) -> list[Row]:
    def all_of(who: str, key: str) -> list[float]:
        return [sample[key] for sample in samples[who]]

    what, many = f"{size} workloads", size >= max(SIZES)
    applied, unchanged = (APPLIED, UNCHANGED) if many else (None, None)
    made = all_of("anytier", "made")
    return [
        Row(f"{what}, up", "s", made, "kubectl apply --server-side", all_of("kubectl", "made"), applied),
        Row(f"{what}, up to Ready", "s", made, "kubectl apply and wait", all_of("kubectl", "ready")),
        Row(
            f"{what}, preview of no change",
            "s",
            all_of("anytier", "preview"),
            "kubectl diff --server-side",
            all_of("kubectl", "preview"),
            unchanged,
        ),
        Row(f"{what}, taken away", "s", all_of("anytier", "gone"), "kubectl delete", all_of("kubectl", "gone")),
    ]


@contextlib.contextmanager
def place(size: int, kubectl: Path) -> Iterator[Bench]:
    """A control plane of its own, and what is to be put there."""
    parts: Any = import_module("tests.provider.kubernetes.controlplane")
    if parts.programs() is None:
        raise CommandFailed("there is no kube-apiserver here; tools/kubernetes_bundle.py builds it")
    with tempfile.TemporaryDirectory(prefix="anytier-test-") as made:
        folder = Path(made)
        (folder / "control-plane").mkdir()
        with (
            parts.control_plane(folder / "control-plane") as kubeconfig,
            parts.kubelet(kubeconfig, NS, {IMAGE: "good"}),
        ):
            bench = Bench(kubectl, folder / "kubeconfig", folder / "app.yaml", folder / "objects.yaml")
            bench.kubeconfig.write_text(kubeconfig)
            bench.spec.write_text(yaml.safe_dump(spec(size), sort_keys=False))
            items = render(App.model_validate(spec(size)), Target(NS, addresses=("10.0.0.11",)), folder)
            bench.objects.write_text(dumped_all(finish(item.object, {}) for item in objects(items)))
            yield bench


def objects(items: Sequence[Rendered]) -> list[Rendered]:
    """All are to be applied; a namespace comes before what is in it."""
    return sorted(items, key=lambda item: item.object["kind"] != "Namespace")


def spec(size: int) -> dict[str, Any]:
    """An app of so many workloads that know nothing of each other, of one pod each."""
    return {
        "apiVersion": "anytier.dev/v1",
        "kind": "App",
        "metadata": {"name": "bench"},
        "workloads": {f"w{index:04d}": workload() for index in range(size)},
    }


def workload() -> dict[str, Any]:
    container = {
        "image": IMAGE,
        "user": "10001",
        "variables": {"LEVEL": "info"},
        "resources": {"limits": {"memory": "128Mi"}},
    }
    return {
        "containers": {"main": container},
        "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
        "update": {"minHealthyTime": "0s"},
    }


def by_anytier(bench: Bench) -> Sample:
    given = {"kubeconfig": str(bench.kubeconfig), "spec": str(bench.spec), "ns": NS}
    with program(PROGRAM.format(**given)) as stack:
        made = stack.up()
        preview = stack.pulumi("preview", "--expect-no-changes")
        return {"made": made, "preview": preview, "gone": stack.destroy()}


def by_kubectl(bench: Bench) -> Sample:
    given = ("--server-side", "-f", str(bench.objects))
    made = bench.ask("apply", *given)
    waited = bench.ask("wait", "deployment", "--all", "-n", NS, "--for=condition=Available", "--timeout=300s")
    preview = bench.ask("diff", *given)
    gone = bench.ask("delete", "namespace", NS, "--timeout=300s")
    return {"made": made, "ready": made + waited, "preview": preview, "gone": gone}
