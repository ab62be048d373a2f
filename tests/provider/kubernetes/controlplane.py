"""A real control plane on this machine, without a node: etcd, API server and controllers, all on 127.0.0.1.

What a kubelet would say of pods, `Kubelet` says, by their image: `good` becomes ready, `crash` ends again and again,
`absent` cannot be pulled. Templates, ReplicaSets, revisions, patches and Jobs are Kubernetes' own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anytier.errors import AnytierError, NotFound
from anytier.provider.kubernetes.client import Api
from bootstrap.paths import Paths

TOKEN = "anytier-test"
STARTING = 90.0  # seconds


def programs() -> dict[str, Path] | None:
    """What is needed, by name: from the folder that ANYTIER_KUBERNETES_BIN names (`etcd`, and a folder for each version
    with the rest), else from what a bundle was made of (tools/kubernetes_bundle.py)."""
    given = os.environ.get("ANYTIER_KUBERNETES_BIN")
    cache = Paths.here().cache
    folders = sorted(Path(given).glob("*/")) if given else sorted(cache.glob("kubernetes-programs-*"))
    for folder in reversed(folders):
        names = {"etcd": ("etcd", "server", "../etcd"), "kube-apiserver": (), "kube-controller-manager": ()}
        found = {
            name: next((folder / other for other in (name, *others) if (folder / other).is_file()), None)
            for name, others in names.items()
        }
        if all(found.values()):
            return {name: file for name, file in found.items() if file is not None}
    return None


def free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


@contextlib.contextmanager
def control_plane(folder: Path) -> Iterator[str]:
    """Yields its kubeconfig. What was started is stopped, by its process."""
    found = programs()
    assert found is not None
    etcd, peer, api, manager = free_ports(4)
    _write_keys(folder)
    kubeconfig = _kubeconfig(api)
    (folder / "kubeconfig").write_text(kubeconfig)
    (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
    commands = {
        "etcd": [
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        ],
        "kube-apiserver": [
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={api}",
            f"--cert-dir={folder / 'certs'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder / 'sa.pem'}",
            f"--service-account-signing-key-file={folder / 'sa.pem'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            "--service-cluster-ip-range=10.96.0.0/16",
        ],
        "kube-controller-manager": [
            f"--kubeconfig={folder / 'kubeconfig'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={manager}",
            f"--cert-dir={folder / 'manager'}",
            "--leader-elect=false",
            "--controllers=*",
        ],
    }
    with contextlib.ExitStack() as stack:
        for name, flags in commands.items():
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [str(found[name]), *flags],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                preexec_fn=_goes_with_us,
            )
            stack.callback(_stop, process)
            if name == "kube-apiserver":
                asyncio.run(_answers(kubeconfig, process, folder / f"{name}.log"))
        yield kubeconfig


def _goes_with_us() -> None:
    """A test run that is killed leaves nothing: the kernel ends this process with its parent (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)


async def _answers(kubeconfig: str, process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + STARTING
    there = Api(kubeconfig)
    try:
        while time.monotonic() < limit:
            assert process.poll() is None, log.read_text()[-3000:]
            with contextlib.suppress(AnytierError):
                if (await there.text("/readyz")) == "ok":
                    return
            await asyncio.sleep(0.3)
    finally:
        await there.close()
    raise AssertionError(log.read_text()[-3000:])


def _write_keys(folder: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "sa.pem").write_bytes(pem)


def _kubeconfig(port: int) -> str:
    cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
            "users": [{"name": "test", "user": {"token": TOKEN}}],
        }
    )


class Kubelet:
    """Says what becomes of a namespace's pods. `images`: image -> `good`, `crash` or `absent`; others stay as made."""

    def __init__(self, there: Api, ns: str) -> None:
        self.there, self.ns = there, ns
        self.images: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Kubelet:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(AnytierError):
                for pod in await self.there.items(f"/api/v1/namespaces/{self.ns}/pods"):
                    await self._look_after(pod)
            await asyncio.sleep(0.1)

    async def _look_after(self, pod: dict[str, Any]) -> None:
        container = pod["spec"]["containers"][0]
        fate = self.images.get(container["image"])
        wanted = status(container, fate) if fate else None
        if wanted is None or (pod["status"].get("containerStatuses") or [{}])[0].get("image") == container["image"]:
            return
        with contextlib.suppress(NotFound):
            await self.there.patch(
                f"/api/v1/namespaces/{self.ns}/pods/{pod['metadata']['name']}/status", {"status": wanted}
            )


@contextlib.contextmanager
def kubelet(kubeconfig: str, ns: str, images: Mapping[str, str]) -> Iterator[Kubelet]:
    """One in a thread, for who waits for the engine. `images`: what becomes of them."""
    loop, there = asyncio.new_event_loop(), Api(kubeconfig)
    made = Kubelet(there, ns)
    made.images = dict(images)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = asyncio.run_coroutine_threadsafe(made._run(), loop)
    try:
        yield made
    finally:
        running.cancel()
        time.sleep(0.3)
        asyncio.run_coroutine_threadsafe(there.close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def status(container: dict[str, Any], fate: str) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = fate == "good"
    said: dict[str, Any] = {"name": container["name"], "image": container["image"], "imageID": "", "ready": ready}
    said |= {"restartCount": 0, "started": ready}
    end = {"exitCode": 3, "reason": "Error", "message": "no database\n", "startedAt": now, "finishedAt": now}
    phase = "Running"
    if fate == "good":
        said["state"] = {"running": {"startedAt": now}}
    elif fate == "crash":
        said |= {
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": end},
            "restartCount": 2,
        }
    elif fate == "absent":
        said["state"] = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
        phase = "Pending"
    elif fate in ("done", "failed"):
        code = 0 if fate == "done" else 3
        said["state"] = {"terminated": {**end, "exitCode": code}}
        phase = "Succeeded" if fate == "done" else "Failed"
    yes = "True" if ready else "False"
    conditions = [{"type": kind, "status": yes, "lastTransitionTime": now} for kind in ("Ready", "ContainersReady")]
    return {"phase": phase, "conditions": conditions, "containerStatuses": [said], "startTime": now}
