"""Images without a container runtime: pulled here from a real registry, run by systemd on a machine over SSH."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.provider.docker.registry import Registry

import base_image
from anytier.errors import AnytierError, Rejected, RolloutFailed
from anytier.provider.host.day2 import HostBackend
from anytier.provider.host.images import ImageInputs, ImageOutputs, ImageResource
from anytier.provider.host.job import JobInputs, JobOutputs, JobResource
from anytier.provider.host.machines import close_all
from anytier.provider.host.proxy import ProxyInputs, ProxyOutputs, ProxyResource
from anytier.provider.host.volume import VolumeInputs, VolumeOutputs, VolumeResource
from anytier.provider.host.workload import WorkloadInputs, WorkloadOutputs, WorkloadResource
from anytier.provider.resource import Context
from anytier.render.proxy import Listener, Pool, ProxyConfig, Route
from anytier.render.rooted import capabilities
from anytier.render.template import File, HostProcess, HttpGet, ImageRun, Mount, Port, Probe, Template, UpdatePolicy

from .corner import CANARY, Sink
from .ssh_box import SshBox, ssh_box

pytestmark = [pytest.mark.e2e, pytest.mark.docker]
PROJECT = Path(__file__).parents[3]
NS, ROOT = "anytier-test-oci", "/var/lib/anytier/anytier-test-oci"
POLICY: dict[str, Any] = {
    "min_healthy_time": 0.3, "healthy_deadline": 30, "progress_deadline": 90, "drain_timeout": 5
}  # fmt: skip
READY = Probe(http_get=HttpGet(path="/healthz", port=8080), period=1, timeout=5)
INSIDE = Probe(
    exec=["sh", "-c", 'test "$VERSION" && test "$(id -u)" = 4321 && test -e /srv/app/hostapp.py'], period=1, timeout=10
)
# Nothing of a test that failed is left to the next one.
WIPE = "cd /etc/systemd/system; systemctl disable --now anytier-*.service; rm -rf anytier-*.service /var/lib/anytier/*"
ODD = "a'b\"c\\d $HOME %n \t\r\n\x1b[0m ü"
FIRST = f"""\
FROM {base_image.IMAGE}
RUN echo app:x:4321:4320::/srv/app:/bin/sh >> /etc/passwd && echo app:x:4320: >> /etc/group && rm /etc/issue
WORKDIR /srv/app
COPY hostapp.py .
ENV VERSION=1 FROM_IMAGE=yes
USER app
ENTRYPOINT ["python3"]
CMD ["hostapp.py"]
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshBox]:
    """Its state lies on a volume: an overlay on the container's own overlay is no place for a layer."""
    with ssh_box(tmp_path_factory.mktemp("box"), more=["--volume", "/var/lib/anytier"]) as made:
        yield made


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """With two releases of one image."""
    folder, name = tmp_path_factory.mktemp("registry"), f"anytier-test-{uuid.uuid4().hex[:8]}"
    shutil.copy(Path(__file__).with_name("hostapp.py"), folder)
    base_image.ensure()
    with Registry(folder) as made:
        for tag, text in (("1", FIRST), ("2", f"FROM {name}:1\nENV VERSION=2\n")):
            command = ["docker", "build", "-q", "-t", f"{name}:{tag}", "-f", "-", str(folder)]
            done = subprocess.run(command, input=text, text=True, capture_output=True, timeout=120)
            assert done.returncode == 0, done.stderr
        for tag in ("1", "2"):
            made.push(f"{name}:{tag}", "shop/web", tag)
        subprocess.run(["docker", "rmi", *(f"{name}:{tag}" for tag in ("2", "1"))], capture_output=True)
        yield made


@pytest.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await close_all()


class Shop:
    """One app on the box, all of it images."""

    def __init__(self, box: SshBox, registry: Registry) -> None:
        self.box, self.registry, self.sink = box, registry, Sink()
        self.base: dict[str, Any] = {
            "machine": box.ref().wire(),
            "root": ROOT,
            "supervisor": "systemd-system",
            "ns": NS,
            "owner": "/home/me/shop",
        }

    def context(self) -> Context:
        return Context("urn:pulumi:dev::shop::x::y", "y", self.sink)

    def proxy(self) -> ProxyInputs:
        config = ProxyConfig(
            listeners={"public": Listener(address=":8080")},
            routes=[Route(listener="public", pool="web/http")],
            pools={"web/http": Pool()},
        )
        return ProxyInputs.model_validate({**self.base, "config": config})

    def image(self, tag: str) -> ImageInputs:
        return ImageInputs.model_validate({**self.base, "reference": f"{self.registry.name}/shop/web:{tag}"})

    async def pulled(self, tag: str) -> ImageOutputs:
        return (await ImageResource().create(self.context(), self.image(tag)))[1]

    def inputs(self, image: ImageOutputs, **more: Any) -> WorkloadInputs:
        process = HostProcess(
            image=ImageRun(digest=image.digest, **more.pop("run", {})),
            env={"ODD": ODD, **more.pop("env", {})},
            secret_env={"PASSWORD": "db"},
            readiness=READY,
            startup=INSIDE,
            liveness=READY.model_copy(update={"failure_threshold": 20}),
            mounts=[Mount(target="/data", volume="data")],
            files=[File(target="/etc/shop/key", content="${secrets.db}", mode="0400")],
            post_start=["sh", "-c", "echo $VERSION > /tmp/post-start"],
            **more.pop("process", {}),
        )
        values = {
            **self.base,
            "workload": "web",
            "template": Template(process=process, ports=[Port(name="http", port=80, target=8080)]),
            "secrets": {"db": CANARY},
            "replicas": 2,
            "update": UpdatePolicy(**{**POLICY, **more.pop("policy", {})}),
            "pools": {"http": "web/http"},
            "volumes": {"data": f"{ROOT}/volumes/data"},
            **more,
        }
        return WorkloadInputs.model_validate(values)

    def volume(self) -> VolumeInputs:
        return VolumeInputs.model_validate({"machine": self.base["machine"], "path": f"{ROOT}/volumes/data"})

    async def get(self, path: str = "/") -> str:
        def ask() -> str:
            url = f"http://127.0.0.1:{self.box.app_port}{urllib.parse.quote(path, safe='/?')}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())

        return await asyncio.to_thread(ask)

    def images(self) -> set[str]:
        return {name for name in self.box.run("ls", f"{ROOT}/images").stdout.split() if len(name) == 64}


@pytest.fixture
def shop(box: SshBox, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("ANYTIER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    yield Shop(box, registry)
    box.run("sh", "-c", WIPE)


async def test_an_image_serves_is_updated_survives_a_bad_one_and_leaves_nothing(shop: Shop, box: SshBox) -> None:
    await VolumeResource().create(shop.context(), shop.volume())
    await ProxyResource().create(shop.context(), shop.proxy())
    one = await shop.pulled("1")
    assert one.digest == shop.registry.digest("shop/web", "1")
    assert (one.entrypoint, one.cmd, one.user, one.working_dir) == (["python3"], ["hostapp.py"], "app", "/srv/app")
    first = shop.inputs(one)
    id, state = await WorkloadResource().create(shop.context(), first)
    assert state.ready == 2 and (await shop.get()).startswith("1 1")  # it is the first process of its own

    # what it is given, and what it may do
    env = json.loads(await shop.get("/env"))
    assert (env["FROM_IMAGE"], env["ODD"], env["PASSWORD"], env["HOME"]) == ("yes", ODD, CANARY, "/srv/app")
    me = json.loads(await shop.get("/me"))
    assert (me["uid"], me["cwd"], me["argv"]) == (4321, "/srv/app", ["hostapp.py"])
    assert await shop.get("/read?/etc/shop/key") == CANARY
    await shop.get("/write?/data/kept")
    assert box.run("stat", "-c", "%u:%g", f"{ROOT}/volumes/data/kept").stdout.strip() == "4321:4320"
    status = dict(line.partition(":\t")[::2] for line in (await shop.get("/read?/proc/self/status")).splitlines())
    assert (status["CapEff"].strip("0"), status["NoNewPrivs"], status["Seccomp"]) == ("", "1", "2")
    assert int(status["CapBnd"], 16) == sum(1 << number for number in capabilities([], [], False)[0])
    said = box.run("sh", "-c", "cat /proc/[0-9]*/cmdline /etc/systemd/system/*; journalctl -q --no-pager").stdout
    printed = re.findall(rf"starting \d \w+ {CANARY}", said)  # by the app itself
    assert printed and said.count(CANARY) == len(printed)

    # beside it
    backend = HostBackend(shop.base["machine"], ROOT, NS, "systemd-system")
    rows = await backend.instances()
    assert [(row.state, row.health) for row in rows] == [("running", "healthy")] * 2
    argv = await backend.exec_argv(
        rows[0].id, ["sh", "-c", "id -u; cat /tmp/post-start; ls /etc/issue; kill -9 -1; exit 7"]
    )
    seen = box.run(*argv)
    assert (seen.returncode, seen.stdout.split()) == (7, ["4321", "1"]) and "No such file" in seen.stderr

    # each has its own layer above the image, and a restart keeps it
    marker = await backend.exec_argv(rows[0].id, ["sh", "-c", "echo own > /tmp/own"])
    assert box.run(*marker).returncode == 0
    assert box.run("systemctl", "restart", f"{rows[0].id}.service").returncode == 0
    kept = [box.run(*await backend.exec_argv(row.id, ["cat", "/tmp/own"])).stdout.strip() for row in rows]
    assert kept == ["own", ""]

    await a_job_is_an_image_too(shop, one)

    # a new release, and one that ends at once
    two = await shop.pulled("2")
    second = shop.inputs(two)
    state = await WorkloadResource().update(shop.context(), id, first, state, second)
    assert state.ready == 2 and (await shop.get()).startswith("2 ") and await shop.get("/read?/data/kept") == "kept"
    with pytest.raises(RolloutFailed, match="MODE=exits"):
        bad = shop.inputs(two, env={"MODE": "exits"})
        await WorkloadResource().update(shop.context(), id, second, state, bad)
    assert (await shop.get()).startswith("2 ")
    missing = ImageOutputs(digest=f"sha256:{'0' * 64}")
    with pytest.raises(AnytierError, match="no longer on the machine"):
        await WorkloadResource().update(shop.context(), id, second, state, shop.inputs(missing))

    # back, by its number alone: the image of a kept revision is there though no resource wants it
    await ImageResource().delete(shop.context(), "", shop.image("1"), one)
    assert len(shop.images()) == 2
    back = shop.inputs(two, rollback_to=1)
    state = await WorkloadResource().update(shop.context(), id, second, state, back)
    assert state.ready == 2 and (await shop.get()).startswith("1 ")
    forgetful = shop.inputs(two, policy={"retain": 1})
    state = await WorkloadResource().update(shop.context(), id, back, state, forgetful)
    assert (await shop.get()).startswith("2 ") and shop.images() == {two.digest.removeprefix("sha256:")}

    await WorkloadResource().delete(shop.context(), id, second, WorkloadOutputs(revision=1, hash="", replicas=2))
    await ProxyResource().delete(shop.context(), f"{NS}/proxy", shop.proxy(), ProxyOutputs(running=True))
    await ImageResource().delete(shop.context(), "", shop.image("2"), two)
    await VolumeResource().delete(shop.context(), "", shop.volume(), VolumeOutputs(path=""))
    assert box.run("ls", "/var/lib/anytier").stdout == ""
    assert (
        box.run("sh", "-c", "ls /etc/systemd/system | grep anytier-test; grep overlay.*layer /proc/mounts").stdout == ""
    )


async def a_job_is_an_image_too(shop: Shop, one: ImageOutputs) -> None:
    """And root in it is not the machine's."""
    script = (
        "import os,signal;assert os.getuid()==0;print(sorted(p for p in os.listdir('/proc') if p.isdigit()));"
        "open('/dev/stdout','w').write('by name ');os.chown('/tmp',1,1);\n"
        "for path in ('/proc/sys/kernel/core_pattern','/proc/sysrq-trigger','/sys/kernel/uevent_helper'):\n"
        "  try: open(path,'w'); print('wrote',path)\n"
        "  except OSError: pass\n"
        "raise SystemExit(int(os.environ['CODE']))"
    )
    for code in (0, 3):
        run = ImageRun(digest=one.digest, command=["python3", "-c", script])
        template = Template(process=HostProcess(image=run, user="0", env={"CODE": str(code)}))
        inputs = JobInputs.model_validate({**shop.base, "job": "once", "template": template})
        if code == 0:
            before = inputs
            id, done = await JobResource().create(shop.context(), inputs)
            assert done.attempts == 1
        else:
            with pytest.raises(AnytierError, match=r"(?s)exit 3.*\['1'\]"):
                await JobResource().update(shop.context(), id, before, done, inputs)
    log = shop.box.run("journalctl", "-q", "-o", "cat", "--identifier", f"{NS}-job-once", "--no-pager").stdout
    assert log.count("by name") == 2 and "wrote" not in log

    process = HostProcess(image=ImageRun(digest=one.digest, run_as_non_root=True), user="00")
    inputs = JobInputs.model_validate({**shop.base, "job": "once", "template": Template(process=process)})
    with pytest.raises(Rejected, match="runAsNonRoot"):
        await JobResource().update(shop.context(), id, before, done, inputs)
    await JobResource().delete(shop.context(), id, inputs, JobOutputs())


class Stack:
    """A project with one app of one image, and the engine's commands."""

    def __init__(self, folder: Path, box: SshBox, image: str, env: dict[str, str]) -> None:
        self.folder, self.image = folder, image
        here = {"ANYTIER_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(PROJECT / "components")}
        self.env = {**env, **here, "DOCKER_CONFIG": str(folder / "docker"), "VIRTUAL_ENV": sys.prefix}
        (folder / "Pulumi.yaml").write_text(
            f"name: images\nruntime: python\nplugins: {{providers: [{{name: anytier, path: {PROJECT}/bin}}]}}\n"
        )
        shutil.copy(PROJECT / "__main__.py", folder)
        machine = {
            "address": "127.0.0.1",
            "port": box.port,
            "user": "deploy",
            "sudo": True,
            "keyFile": str(box.key_file),
        }
        config = {"anytier:app": "app.yaml", "anytier:tier": "baremetal", "anytier:baremetal": {"machines": [machine]}}
        (folder / "Pulumi.anytier-test.yaml").write_text(json.dumps({"config": config}))
        self.run("stack", "init", "anytier-test")

    def write(self, tag: str) -> None:
        web = {
            "containers": {"web": {"image": f"{self.image}:{tag}", "readinessProbe": {"httpGet": {"port": 9090}}}},
            "service": {"ports": {"http": {"port": 80, "targetPort": 9090}}},
            "update": {"order": "stop-first", "minHealthyTime": "300ms"},
        }
        app = {"apiVersion": "anytier.dev/v1", "kind": "App", "metadata": {"name": "oci"}, "workloads": {"web": web}}
        (self.folder / "app.yaml").write_text(json.dumps({**app, "routes": [{"workload": "web", "port": "http"}]}))

    def run(self, *args: str) -> str:
        done = subprocess.run(
            ["pulumi", *args], cwd=self.folder, env={**self.env, "PULUMI_STACK": "anytier-test"}, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


async def test_a_stack_of_an_image_goes_up_changes_and_goes(
    box: SshBox, registry: Registry, tmp_path: Path, pulumi_env: dict[str, str]
) -> None:
    """Under the engine: a digest that a preview does not know, a second run that changes nothing, a port of its own."""
    shop = Shop(box, registry)
    stack = Stack(tmp_path, box, f"{registry.name}/shop/web", pulumi_env)
    stack.write("1")
    assert "host:Image" in stack.run("preview") and box.run("ls", "/var/lib/anytier").stdout == ""
    stack.write("2")
    stack.run("up", "--yes", "--skip-preview")
    assert (await shop.get()).startswith("2 ") and json.loads(await shop.get("/env"))["PORT"] == "9090"
    stack.run("preview", "--expect-no-changes")
    stack.run("preview", "--refresh", "--expect-no-changes")
    stack.write(f"2@{registry.digest('shop/web', '2')}")
    stack.run("up", "--yes", "--skip-preview")
    assert (await shop.get()).startswith("2 ")
    stack.run("destroy", "--yes", "--skip-preview")
    assert box.run("ls", "/var/lib/anytier").stdout == ""
