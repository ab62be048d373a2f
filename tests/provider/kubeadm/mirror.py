"""What machines get Kubernetes' packages and images from, in the place of pkgs.k8s.io and registry.k8s.io: a signed
repository for apt and a real registry, both on this machine by TLS, filled with what the tests' bundle holds.

The packages have the names, files, dependencies and scripts of the project's own (krel's templates say which).
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import shutil
import ssl
import subprocess
import tarfile
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.provider.docker.registry import Registry
from tests.provider.docker.tls import Authority
from tests.provider.host.systemd_box import docker

from anytier.bundle import archive
from anytier.bundle.manifest import Bundle
from anytier.render.kubernetes.addons import flannel
from benchmarks.programs import KUBECTL, ensure

from .box import KubeBox

REVISION = "1.1"
_DROP_IN = """[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
--kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""
_UNIT = """[Unit]
Description=kubelet: The Kubernetes Node Agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
"""
# What Debian's helpers make of a unit that is enabled and started with its package.
_SCRIPTS = {
    "postinst": """#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
deb-systemd-helper unmask kubelet.service >/dev/null || true
if deb-systemd-helper --quiet was-enabled kubelet.service; then deb-systemd-helper enable kubelet.service >/dev/null
else deb-systemd-helper update-state kubelet.service >/dev/null || true; fi
[ ! -d /run/systemd/system ] || { systemctl --system daemon-reload; deb-systemd-invoke start kubelet.service; } || true
""",
    "prerm": """#!/bin/sh
set -e
[ "$1" != remove ] || [ ! -d /run/systemd/system ] || deb-systemd-invoke stop kubelet.service || true
""",
    "postrm": """#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl --system daemon-reload || true
[ "$1" != remove ] || deb-systemd-helper mask kubelet.service >/dev/null || true
[ "$1" != purge ] || { deb-systemd-helper purge kubelet.service; deb-systemd-helper unmask kubelet.service; } >/dev/null
""",
}


@dataclass(frozen=True)
class Deb:
    """A package: path -> what is there; a file that is copied is a program."""

    name: str
    version: str
    files: Mapping[str, Path | str]
    depends: str = ""
    scripts: Mapping[str, str] | None = None
    conffiles: Sequence[str] = ()


def debs(software: Bundle) -> list[Deb]:
    """Those of the bundle's version."""
    version = f"{software.version.removeprefix('v')}-{REVISION}"
    plugins = {f"opt/cni/bin/{name}": software.file(path) for name, path in software.below("cni").items()}
    kubelet = {
        "usr/bin/kubelet": software.file("bin/kubelet"),
        "usr/lib/systemd/system/kubelet.service": _UNIT,
        "etc/default/kubelet": "KUBELET_EXTRA_ARGS=\n",
        "var/lib/kubelet/.kubelet-keep": "",
        "etc/kubernetes/manifests/.kubelet-keep": "",
    }
    kubeadm = {
        "usr/bin/kubeadm": software.file("bin/kubeadm"),
        "usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": _DROP_IN,
    }
    del plugins["opt/cni/bin/flannel"]  # which an image brings
    cni = {**plugins, "etc/cni/net.d/.kubernetes-cni-keep": ""}
    return [
        Deb("kubeadm", version, kubeadm),
        Deb("kubelet", version, kubelet, "kubernetes-cni (>= 1.2.0)", _SCRIPTS, ["/etc/default/kubelet"]),
        Deb("kubectl", version, {"usr/bin/kubectl": ensure(KUBECTL)}),
        Deb("kubernetes-cni", f"1.7.1-{REVISION}", cni),
    ]


def pack(deb: Deb, folder: Path) -> None:
    """The package as a file of a folder."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        control = {
            "control": f"Package: {deb.name}\nVersion: {deb.version}\nArchitecture: {_architecture()}\n"
            f"Maintainer: anytier's tests <tests@example.org>\nDescription: {deb.name}, as its tests need it\n"
            + (f"Depends: {deb.depends}\n" if deb.depends else ""),
            "conffiles": "".join(f"{path}\n" for path in deb.conffiles),
            **(deb.scripts or {}),
        }
        for path, content in {**deb.files, **{f"DEBIAN/{name}": text for name, text in control.items()}}.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copy(content, file)
            else:
                file.write_text(content)
            file.chmod(0o755 if isinstance(content, Path) or content.startswith("#!") else 0o644)
        command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(root), str(folder)]
        subprocess.run(command, check=True, capture_output=True)


@functools.cache
def _architecture() -> str:
    command = ["dpkg", "--print-architecture"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class Signer:
    """A key of the test's own. `file`: its public half, armoured."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "gnupg"
        self.home.mkdir(mode=0o700)
        self.gpg(
            "--passphrase", "", "--quick-generate-key", "anytier-test <tests@example.org>", "rsa2048", "sign", "1d"
        )
        self.file = folder / "repository.asc"
        self.file.write_bytes(self.gpg("--armor", "--export"))

    def gpg(self, *argv: str) -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--pinentry-mode", "loopback", *argv]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False, capture_output=True)


def index(folder: Path, signer: Signer) -> None:
    """What makes a folder of packages a flat repository that is signed."""

    def made(*argv: str) -> bytes:
        return subprocess.run(["apt-ftparchive", *argv], cwd=folder, check=True, capture_output=True).stdout

    for name in ("InRelease", "Release", "Packages"):
        (folder / name).unlink(missing_ok=True)
    (folder / "Packages").write_bytes(made("packages", "."))
    (folder / "Release").write_bytes(made("release", "."))
    signer.gpg("--clearsign", "--output", str(folder / "InRelease"), str(folder / "Release"))
    shutil.copy(signer.file, folder / "Release.key")


class Files:
    """A folder of this machine by TLS. `asked`: paths."""

    def __init__(self, folder: Path, host: str, certificate: tuple[str, str]) -> None:
        asked: list[str] = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                asked.append(self.path)

        made = functools.partial(Handler, directory=str(folder))
        self.asked, self.server = asked, http.server.ThreadingHTTPServer((host, 0), made)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://{host}:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def push(registry: Registry, trusted: ssl.SSLContext, file: Path, below: str = "") -> None:
    """The images of an archive, under their own names below a prefix."""
    base = f"https://{registry.name}/v2"

    def send(method: str, url: str, data: bytes = b"", kind: str = "application/octet-stream") -> str:
        request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": kind})
        with urllib.request.urlopen(request, context=trusted, timeout=120) as answer:
            return str(answer.headers.get("Location") or "")

    with tarfile.open(file) as tar:

        def blob(digest: str) -> bytes:
            found = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert found is not None
            return found.read()

        listed = tar.extractfile("index.json")
        assert listed is not None
        for entry in json.loads(listed.read())["manifests"]:
            name, _, tag = entry["annotations"]["io.containerd.image.name"].rpartition(":")
            manifest = blob(entry["digest"])
            said = json.loads(manifest)
            for item in (said["config"], *said["layers"]):
                where = send("POST", f"{base}/{below}{name}/blobs/uploads/")
                send("PUT", f"{where}{'&' if '?' in where else '?'}digest={item['digest']}", blob(item["digest"]))
            send("PUT", f"{base}/{below}{name}/manifests/{tag}", manifest, said["mediaType"])


def plugin_image(software: Bundle, target: Path) -> Path:
    """What flannel's own image of its plugin is: the program, and something that copies it."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "apt-get install busybox-static"
    files = {"flannel": software.file("cni/flannel"), "bin/busybox": Path(busybox)}
    own = archive.layer(target / "plugin.layer", files, {"bin/cp": "busybox"})
    made = archive.made([own], {"Env": ["PATH=/bin"]}, software.arch)
    archive.write(target / "plugin.tar", [flannel.PLUGIN], made)
    return target / "plugin.tar"


@dataclass
class Mirror:
    """`folder` has a repository for each minor below it. `args`: as a stack's config names it."""

    folder: Path
    files: Files
    registry: Registry
    signer: Signer

    @property
    def args(self) -> dict[str, Any]:
        return {
            "url": f"{self.files.url}/{{minor}}/deb/",
            "key": str(self.signer.file),
            "registry": f"{self.registry.name}/mirror",
        }

    def publish(self, *deb: Deb, minor: str) -> None:
        """These, beside those that are there."""
        place = self.folder / minor / "deb"
        place.mkdir(parents=True, exist_ok=True)
        for item in deb:
            pack(item, place)
        index(place, self.signer)


@contextlib.contextmanager
def mirror(folder: Path, boxes: Sequence[KubeBox], *software: Bundle) -> Iterator[Mirror]:
    """Where the boxes reach it, and which they trust by TLS. The software is that of the bundles."""
    host = gateway(boxes[0])
    authority = Authority(folder / "authority", "anytier-test")
    certificate = authority.issue("mirror", address=host)
    with contextlib.ExitStack() as stack:
        signer = Signer(folder)
        stack.callback(signer.close)
        root = folder / "packages"
        root.mkdir()
        files = Files(root, host, certificate)
        stack.callback(files.close)
        registry = Registry(folder, host)
        registry.certificate = certificate
        trusted = ssl.create_default_context(cafile=authority.file)
        registry.trusted = trusted
        stack.enter_context(registry)
        made = Mirror(root, files, registry, signer)
        for item in software:
            made.publish(*debs(item), minor=item.version.rpartition(".")[0])
            for path in item.images:
                push(registry, trusted, item.file(path), "mirror/")
            push(registry, trusted, plugin_image(item, folder), "mirror/")
        for box in boxes:
            trust(box, Path(authority.file))
        yield made


def gateway(box: KubeBox) -> str:
    """This machine's address in the boxes' network."""
    listed = "{{range .NetworkSettings.Networks}}{{.Gateway}} {{end}}"
    return docker("inspect", "--format", listed, box.name).split()[0]


def trust(box: KubeBox, file: Path) -> None:
    """As the administrator of such a machine does it."""
    box.ssh("cat >/usr/local/share/ca-certificates/anytier-test.crt && update-ca-certificates", file.read_bytes())


def missing_tools() -> list[str]:
    """Debian packages that a mirror needs, and which are not here."""
    wanted = {"apt-ftparchive": "apt-utils", "gpg": "gpg", "docker-registry": "docker-registry", "dpkg-deb": "dpkg"}
    return [name for program, name in wanted.items() if shutil.which(program, path=os.environ["PATH"]) is None]
