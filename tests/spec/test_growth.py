"""Twice the spec is twice the work, and no more."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from anytier.cli.validate import Target, check

WORKLOAD = """
  web-{number}:
    containers:
      web:
        image: registry.example.org/team/web:{number}
        command: [python3, -m, http.server, "8080"]
        variables:
          APP: "${{metadata.name}}"
          NEXT: "http://${{workloads.web-{other}.host}}:${{workloads.web-{other}.ports.http}}"
          TOKEN: "Bearer ${{secrets.token}}"
        files: {{/etc/web.conf: {{content: "a=b", mode: "0644"}}}}
        resources: {{requests: {{cpu: 100m, memory: 64Mi}}, limits: {{cpu: 500m, memory: 128Mi}}}}
        readinessProbe: {{httpGet: {{path: /healthz, port: 8080}}, periodSeconds: 5}}
    host: {{command: [python3, server.py]}}
    service: {{ports: {{http: {{port: 80, targetPort: 8080}}}}}}
    scale: {{replicas: 2}}
    update: {{maxParallel: 1, healthyDeadline: 30s}}
    dependsOn: {{{depends}}}
"""


def spec(count: int) -> str:
    bodies = (
        WORKLOAD.format(
            number=number,
            other=(number + 1) % count,
            depends=f"web-{number - 1}: {{condition: healthy}}" if number else "",
        )
        for number in range(count)
    )
    head = "apiVersion: anytier.dev/v1\nkind: App\nmetadata: {name: big}\nsecrets: {token: {from: env}}\nworkloads:"
    return head + "".join(bodies) + "routes: [{workload: web-0, port: http}]\n"


def calls(data: bytes, findings: list[Any]) -> int:
    """How many functions are called to read and check a spec: work that no other process adds to, unlike time."""
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        findings += check("app.yaml", data, Target([]))
    finally:
        sys.setprofile(before)
    return count


def test_four_times_the_spec_is_four_times_the_work() -> None:
    """Seconds are measured by `make bench`, which no test does."""
    findings: list[Any] = []
    calls(spec(1).encode(), findings)  # imports, caches
    small, large = (calls(spec(count).encode(), findings) for count in (50, 200))
    assert findings == []
    assert large < 4 * small * 1.1, (small, large)
