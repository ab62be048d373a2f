"""In the place of the AWS Load Balancer Controller's image, which is had from a registry of the internet: one that is
started by the same arguments, says that it is well, and does nothing. What it would do for Services, balancers.py does.
"""

from __future__ import annotations

import subprocess

from tests.provider.docker.registry import Registry

from anytier.render.kubernetes.addons.aws_balancers import HEALTH, IMAGE

BASE = "python:3.11-slim"
NAME = "anytier-test-controller"
PROGRAM = f"""
import http.server

class Well(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in ("/healthz", "/readyz") else 404)
        self.end_headers()

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("", {HEALTH}), Well).serve_forever()
"""


def repository() -> tuple[str, str]:
    """(the repository without its registry, the tag) of the image that the tier pins."""
    name, _, tag = IMAGE.rpartition(":")
    return name.partition("/")[2], tag


def build() -> str:
    """The image's name on the daemon."""
    # The classic builder has no here-documents: the program is one word of a list.
    words = ", ".join(f'"{word}"' for word in ("python3", "-c", PROGRAM.replace("\n", "\\n").replace('"', '\\"')))
    text = f"FROM {BASE}\nENTRYPOINT [{words}]\n"
    command = ["docker", "build", "-q", "-t", NAME, "-"]
    subprocess.run(command, input=text.encode(), check=True, capture_output=True, timeout=120)
    return NAME


def put(registry: Registry) -> None:
    """Into a registry that machines take for the mirror of every other."""
    registry.push(build(), *repository())
