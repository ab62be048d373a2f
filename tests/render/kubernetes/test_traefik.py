"""The real Traefik on a real API server does with our Ingresses what the routes say, with the rights of its addon.

Nobody makes pods there: a server of this machine stands for them, named by endpoints that the tests write.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.render.kubernetes import apiserver
from tests.render.kubernetes.samples import TARGET, objects, served, spec
from tests.render.kubernetes.test_network import GIVEN, PAIR, TRAEFIK

import addon_images
from anytier.conformance.certificate import self_signed
from anytier.render.kubernetes.addons import traefik
from bootstrap.paths import Paths

PROGRAM = addon_images.place(Paths.here(), "traefik")
SERVERS = list(apiserver.programs())[-1:]
WHY = "no Traefik, or no kube-apiserver: make e2e-cluster builds them"

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not (PROGRAM.is_file() and SERVERS), reason=WHY)]

ROUTES = [
    {"workload": "web", "port": "http"},
    {"workload": "web", "port": "http", "path": "/long/and/longer/than/the/rule/of/any/host"},
    {"workload": "web", "port": "http", "path": "/strip/it", "stripPrefix": True},
    {"workload": "other", "port": "http", "host": "a.test"},
    {"workload": "web", "port": "http", "host": "*.test"},
    {"workload": "other", "port": "http", "host": "tls.example", "tls": GIVEN},
    {"workload": "none", "port": "http", "path": "/none"},
]


class Echo(BaseHTTPRequestHandler):
    """Says which of them it is, and what it was asked."""

    def do_GET(self) -> None:
        said = json.dumps({"port": self.server.server_port, "path": self.path, "host": self.headers["Host"]}).encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Controller:
    """Where Traefik listens: by the addon's own numbers, which are free ones here."""

    def __init__(self, numbers: Mapping[int, int], process: subprocess.Popen[bytes]) -> None:
        self.numbers, self.process, self.ports = numbers, process, dict[str, int]()

    def get(self, path: str, host: str = "any.example", number: int = traefik.PLAIN) -> tuple[int, Any, str]:
        """Status, what the server said, where it sent us."""
        connection = http.client.HTTPConnection("127.0.0.1", self.numbers[number], timeout=10)
        with contextlib.closing(connection):
            if number == traefik.ENCRYPTED:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                connection.connect()
                connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
            connection.request("GET", path, headers={"Host": host, "Connection": "close"})
            answer = connection.getresponse()
            body = answer.read()
            return (
                answer.status,
                json.loads(body) if answer.status == 200 and body[:1] == b"{" else body,
                str(answer.headers["Location"]),
            )


def own_address() -> str:
    """An address of this machine that is not loopback, which no endpoint may have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("192.0.2.1", 9))
        found: str = one.getsockname()[0]
        return found


@contextlib.contextmanager
def echo(address: str) -> Iterator[int]:
    with ThreadingHTTPServer((address, 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def endpoints(namespace: str, service: str, address: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "namespace": namespace, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    folder, address = tmp_path_factory.mktemp("traefik"), own_address()
    with (
        apiserver.running(SERVERS[0], tmp_path_factory.mktemp("api")) as server,
        echo(address) as web,
        echo(address) as other,
    ):
        ports = {"web": web, "other": other}
        addon = [item.object for item in traefik.render([address], 80, 8443, 1)]
        pair = self_signed("tls.example")
        app = spec({name: served() for name in ("web", "other", "none")}, routes=ROUTES, **PAIR)
        made = objects(app, TRAEFIK)
        for item in made.values():
            if item.get("type") == "kubernetes.io/tls":
                item.pop("data", None)
                item["stringData"] = {"tls.crt": pair.certificate, "tls.key": pair.key}
        wanted = ("Namespace", "Service", "Ingress", "Secret", "IngressClass", "ClusterRole", "ClusterRoleBinding")
        for item in (*addon, *made.values()):
            if item["kind"] in wanted:
                server.apply(item, dry=False)
        for name, port in ports.items():
            server.apply(endpoints(TARGET.namespace, name, address, port), dry=False)
        with running(folder, server, addon, free_numbers()) as found:
            found.ports |= ports
            yield found


def free_numbers() -> dict[int, int]:
    return {number: apiserver._free() for number in (traefik.PLAIN, traefik.ENCRYPTED, traefik.HEALTH)}


@contextlib.contextmanager
def running(
    folder: Path, server: apiserver.Server, addon: list[dict[str, Any]], numbers: Mapping[int, int]
) -> Iterator[Controller]:
    """Traefik with the arguments and the config of its addon; its numbers are others, as is where its files are."""
    config, deployment = (next(item for item in addon if item["kind"] == kind) for kind in ("ConfigMap", "Deployment"))
    (folder / "routing").mkdir()
    for name, text in config["data"].items():
        (folder / "routing" / name).write_text(text)
    trust = Path(folder, "ca.crt")
    trust.write_text(ssl.get_server_certificate(("127.0.0.1", int(server.url.rpartition(":")[2]))))
    account = f"system:serviceaccount:{traefik.NAMESPACE}:{traefik.NAME}"
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": server.url, "certificate-authority": str(trust)}}],
        "users": [{"name": "it", "user": {"token": apiserver.TOKEN, "as": account}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    mount = deployment["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0]["mountPath"]
    given = [text.replace(mount, str(folder / "routing")) for text in arguments]
    for number, free in numbers.items():
        given = [text.replace(f"address=:{number}", f"address=127.0.0.1:{free}") for text in given]
    log = folder / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [PROGRAM, *given], stdout=out, stderr=out, env={"KUBECONFIG": str(folder / "kubeconfig")}
        ) as process,
    ):
        try:
            found, until = Controller(numbers, process), time.monotonic() + 60
            while not ready(found):
                assert process.poll() is None and time.monotonic() < until, log.read_text()[-4000:]
                time.sleep(0.2)
            yield found
        finally:
            process.terminate()
            process.wait(60)


def ready(found: Controller) -> bool:
    with contextlib.suppress(OSError):
        return found.get("/ping", number=traefik.HEALTH)[0] == 200 and found.get("/")[0] == 200
    return False


@pytest.mark.parametrize(
    ("path", "host", "who", "seen"),
    [
        ("/seen?a=b", "any.example", "web", "/seen?a=b"),
        ("/strip/it/seen?a=b", "any.example", "web", "/seen?a=b"),
        ("/strip/it", "any.example", "web", "/"),
        ("/strip/item", "any.example", "web", "/strip/item"),
        ("/long/and/longer/than/the/rule/of/any/host", "a.test", "other", "/long/and/longer/than/the/rule/of/any/host"),
        ("/", "b.test", "web", "/"),
    ],
)
def test_a_request_goes_where_its_route_says(controller: Controller, path: str, host: str, who: str, seen: str) -> None:
    status, said, _ = controller.get(path, host)
    assert status == 200 and said == {"port": controller.ports[who], "path": seen, "host": host}


def test_an_encrypted_route_answers_there_and_redirects_plain_requests(controller: Controller) -> None:
    status, said, _ = controller.get("/seen", "tls.example", traefik.ENCRYPTED)
    assert status == 200 and said["port"] == controller.ports["other"]
    status, _, where = controller.get("/seen?a=b", "tls.example")
    assert status in (301, 308) and where == "https://tls.example:8443/seen?a=b"
    assert controller.get("/", "any.example", traefik.ENCRYPTED)[0] == 404


def test_a_workload_that_is_not_ready_is_unavailable_and_not_unknown(controller: Controller) -> None:
    assert controller.get("/none")[0] == 503


def test_one_that_is_told_to_go_still_takes_requests_and_says_that_it_goes(controller: Controller) -> None:
    """The last of these tests: it is gone afterwards."""
    controller.process.terminate()
    time.sleep(1)
    assert controller.get("/seen")[0] == 200
    assert controller.get("/ping", number=traefik.HEALTH)[0] == 503
    assert controller.process.wait(30) == 0
