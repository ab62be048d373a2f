"""Reading a spec costs little, and twice the spec costs twice as much: in time of the processor, start included."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]

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


def seconds(file: Path) -> float:
    """Processor time of one `anytier validate FILE`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "anytier", "validate", str(file)],
        capture_output=True,
        text=True,
        cwd=PROJECT / "components",
        timeout=300,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.fixture(scope="module")
def times(tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    """Workloads -> the better of two runs: another process's noise only ever adds."""
    folder = tmp_path_factory.mktemp("big")
    found: dict[int, float] = {}
    for count in (1, 500, 1000, 2000):
        file = folder / f"{count}.yaml"
        file.write_text(spec(count))
        found[count] = min(seconds(file) for _ in range(2))
    return found


def test_a_thousand_workloads_are_validated_within_two_seconds(times: dict[int, float]) -> None:
    assert times[1000] < 2, times


def test_the_time_grows_with_the_spec_and_no_faster(times: dict[int, float]) -> None:
    own = {count: took - times[1] for count, took in times.items()}
    assert own[2000] < 4 * own[500] * 1.5, times
