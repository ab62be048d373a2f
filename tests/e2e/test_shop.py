"""The shop, its one file unchanged, on Docker and on a bare machine: sold, rolled over, restarted, taken away."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.suite import ROOT
from tests.provider.host.ssh_box import SshBox, ssh_box

from anytier.cli.stack import engine_env
from anytier.conformance.pace import paced
from anytier.conformance.patch import variables
from anytier.conformance.places.baremetal import BaremetalPlace
from anytier.conformance.places.base import Place
from anytier.conformance.places.docker import DockerPlace
from anytier.conformance.trial import Answer, Trial, read_spec

pytestmark = [pytest.mark.e2e, pytest.mark.docker]
UMBRELLA = 5  # there is one


class Shop(Trial):
    """A throw-away stack of the shop. `serves`: the port in the stack's config, where `port` is another one here."""

    def __init__(
        self, place: Place, config: dict[str, Any], serves: int | None = None, port: int | None = None
    ) -> None:
        super().__init__(ROOT, place, config, engine_env())
        self.ns = f"anytier-{self.name}-shop"
        self.port = port or self.port
        self.serves = serves or self.port

    def make(self) -> None:
        (self.folder / "state").mkdir()
        shutil.copytree(ROOT / "apps" / "shop", self.app_dir)
        self.base = paced(read_spec(self.app_dir / "app.yaml"), self.pace)
        self.config_file.write_text(json.dumps({"config": {**self.config, **self.own_config()}}))
        self.pulumi("stack", "init", self.name, "--secrets-provider", "passphrase", stack=False)

    def own_config(self) -> dict[str, Any]:
        return {"anytier:app": str(self.app_dir / "app.yaml"), "anytier:port": self.serves}

    def unchanged_up(self, *args: str) -> None:
        """With the app's file as it lies in the repository; only where all takes longer, so do its times."""
        if self.pace == 1:
            shutil.copy(ROOT / "apps" / "shop" / "app.yaml", self.app_dir / "app.yaml")
        else:
            (self.app_dir / "app.yaml").write_text(json.dumps(self.base))
        self.pulumi("up", "--yes", "--skip-preview", *args)

    def order(self, product: int, quantity: int = 1) -> Answer:
        return self.request(
            "/api/orders", method="POST", body=json.dumps({"product": product, "quantity": quantity}).encode()
        )

    def stock(self) -> dict[int, int]:
        return {item["id"]: item["stock"] for item in self.get("/api/products")["products"]}

    def passwords(self) -> list[str]:
        shown = json.loads(self.pulumi("stack", "export", "--show-secrets").output)
        found = [item for item in shown["deployment"]["resources"] if item["type"] == "anytier:index:Secret"]
        assert len(found) >= 2  # a cluster of the stack's own has one more
        return [json.loads(item["outputs"]["value"]["plaintext"]) for item in found]


@contextmanager
def shop(made: Shop) -> Iterator[Shop]:
    try:
        made.make()
        yield made
    except BaseException:
        made.pulumi("destroy", "--yes", "--skip-preview", fails=True)
        raise
    else:
        made.pulumi("destroy", "--yes", "--skip-preview")
        assert made.place.leftovers(made.ns) == []
    finally:
        made.forget()


class Customers:
    """They look at the shelves all the time. `lost`: what they got instead of them."""

    def __init__(self, of: Shop) -> None:
        self.shop, self.served, self.lost = of, 0, list[str]()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Customers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ends.wait(0.02):
            try:
                answer = self.shop.request("/api/products")
            except (OSError, HTTPException) as error:
                self.lost.append(repr(error))
            else:
                self.served += answer.status == 200
                self.lost += [] if answer.status == 200 else [f"{answer.status} {answer.content}"]


def story(made: Shop, restart_the_database: Callable[[], None]) -> None:
    made.unchanged_up()
    assert "The little shop" in made.get("/") and "--paper" in made.get("/style.css")
    about = made.get("/api/about")
    assert about["version"] == "1.0" and about["database"].startswith("MariaDB ")

    before = made.stock()
    assert made.order(1, 2).status == 201 and made.order(UMBRELLA).status == 201
    refused = made.order(UMBRELLA)
    assert (refused.status, refused.content) == (409, {"error": "sold out"})
    after = {**before, 1: before[1] - 2, UMBRELLA: 0}
    assert made.stock() == after
    made.unchanged_up("--expect-no-changes")

    with Customers(made) as customers:
        made.up(variables("api", VERSION="2.0"))
    assert (customers.lost, made.get("/api/about")["version"]) == ([], "2.0") and customers.served > 20

    restart_the_database()
    until(lambda: made.request("/api/products").status == 200, 90 * made.pace)
    assert made.stock() == after
    assert [item["quantity"] for item in made.get("/api/orders")["orders"]] == [1, 2]
    assert made.order(3).content["order"] == 3

    seen = made.place.visible(made.ns)
    assert len(seen) > 10
    for password in made.passwords():
        assert [where for where, text in seen.items() if password in text] == []
        assert password not in "".join(made.printed[:-1])


def until(check: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if check():
                return
        except (OSError, HTTPException):
            pass
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.3)


def base_image() -> None:
    """What the shop's images are built from is on this machine's daemon."""
    tool = [sys.executable, str(ROOT / "tools" / "base_image.py"), "--image", "debian:bookworm-slim"]
    subprocess.run(tool, check=True, capture_output=True)


def test_on_docker() -> None:
    base_image()
    with shop(Shop(DockerPlace({}), {"anytier:tier": "docker"})) as made:

        def restart() -> None:
            wanted = ["docker", "ps", "--quiet", "--filter", f"name={made.ns}-db-"]
            (id,) = subprocess.run(wanted, capture_output=True, text=True, check=True).stdout.split()
            subprocess.run(["docker", "restart", id], check=True, capture_output=True)

        story(made, restart)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[SshBox]:
    with ssh_box(tmp_path) as made:
        yield made


def test_on_a_bare_machine(box: SshBox) -> None:
    """It has nothing but sshd and Python: packages bring the rest, and none of their own services runs."""
    machine = {"address": "127.0.0.1", "port": box.port, "user": "deploy", "sudo": True, "keyFile": str(box.key_file)}
    options = {"machines": [machine]}
    config = {"anytier:tier": "baremetal", "anytier:baremetal": options}
    with shop(Shop(BaremetalPlace(options), config, serves=8080, port=box.app_port)) as made:

        def crash() -> None:
            done = box.run("systemctl", "kill", "--signal=KILL", f"{made.ns}-db-r1-0.service")
            assert done.returncode == 0, done.stderr

        story(made, crash)
        assert box.run("systemctl", "is-active", "nginx", "mariadb").stdout.split() == ["inactive", "inactive"]
        assert box.run("systemctl", "is-enabled", "nginx").stdout.strip() == "disabled"
        owner = box.run("sh", "-c", "stat -c %u /proc/$(pidof mariadbd)").stdout.strip()
        assert owner not in ("", "0")
        assert box.run("apt-get", "remove", "--yes", "nginx").returncode == 0
        seen = made.preview("--refresh", "--diff").output
        assert f"{made.ns}-packages" in seen
        made.pulumi("up", "--yes", "--skip-preview", "--refresh")
        assert box.run("test", "-x", "/usr/sbin/nginx").returncode == 0
    assert box.run("test", "-x", "/usr/sbin/nginx").returncode == 0  # the machine's, whoever brought it
