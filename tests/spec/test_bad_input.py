"""What a person gets wrong: each is one clear error at its place, never a traceback, never a secret's value."""

from __future__ import annotations

import re
import time
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest

from anytier.errors import SpecError
from anytier.spec import Diagnostic, diagnose, diagnose_bytes, load

HEAD = "apiVersion: anytier.dev/v1\nkind: App\nmetadata: {name: shop}\n"
SCORE = "apiVersion: score.dev/v1b1\nmetadata: {name: shop}\n"
CANARY = "hunter2-Canary"
# However it is written, and what stands for it where only a number can.
CANARIES = re.compile(f"(?i){CANARY}|4815162342")


def wrong(text: str | bytes) -> list[Diagnostic]:
    app, found = diagnose_bytes(text if isinstance(text, bytes) else text.encode(), "app.yaml")
    assert app is None
    assert found and all(item.what and item.do and item.line >= 1 and item.column >= 1 for item in found)
    assert not any("\n" in item.what or "\n" in item.path for item in found)
    return found


def named(name: str) -> str:
    return HEAD.replace("shop", name) + "workloads: {web: {containers: {web: {image: nginx}}}}\n"


def workload(more: str) -> str:
    return HEAD + f"workloads: {{web: {{containers: {{web: {{image: nginx}}}}, {more}}}}}\n"


def container(more: str) -> str:
    return HEAD + f"workloads: {{web: {{containers: {{web: {{image: nginx, {more}}}}}}}}}\n"


def image(name: str) -> str:
    return HEAD + f"workloads:\n  web:\n    containers:\n      web:\n        image: {name}\n"


def top(more: str) -> str:
    return HEAD + f"workloads: {{web: {{containers: {{web: {{image: nginx}}}}}}}}\n{more}\n"


C = "workloads.web.containers.web"
P = "workloads.web.service.ports.http.port"
# what a person writes -> the path of the one error, and a part of what it says
BAD: dict[str, tuple[str, str, str]] = {
    # names
    "no name": (HEAD.replace("name: shop", "") + "workloads: {web: {host: {command: [a]}}}\n", "metadata", "no name"),
    "empty name": (named('""'), "metadata.name", "is empty"),
    "name of 64": (named("a" * 64), "metadata.name", "has 64 characters"),
    "upper-case name": (named("Shop"), "metadata.name", "'Shop' is not a name"),
    "name with _": (named("a_b"), "metadata.name", "'a_b' is not a name"),
    "name that climbs": (named("../../etc"), "metadata.name", "'../../etc' is not a name"),
    "name of a Score workload": (
        SCORE.replace("shop", "Shop") + "containers: {web: {image: nginx}}\n",
        "metadata.name",
        "'Shop' is not a name",
    ),
    "name no": (named("no"), "metadata.name", "no is read by YAML as a boolean"),
    "name 8": (named("8"), "metadata.name", "8 is read by YAML as a number"),
    "name of two lines": (named('"a\\nb"'), "metadata.name", "is not a name"),
    "name with a dash at its end": (named("shop-"), "metadata.name", "is not a name"),
    "workload's name": (HEAD + "workloads: {Web: {host: {command: [a]}}}\n", "workloads.Web", "'Web' is not a name"),
    "workload without a body": (HEAD + "workloads: {web: }\n", "workloads.web", "is empty"),
    # the document
    "duplicate key": (top("routes: []\nroutes: []"), "routes", "stands here twice (first on line 5)"),
    "unknown key": (top("workload: {}"), "workload", "did you mean 'workloads'?"),
    "replica": (workload("replica: 2"), "workloads.web.replica", "is not a field here"),
    "replica in scale": (workload("scale: {replica: 2}"), "workloads.web.scale.replica", "did you mean 'replicas'?"),
    "probe in the wrong place": (
        workload("readinessProbe: {}"),
        "workloads.web.readinessProbe",
        "did you mean 'containers.NAME.readinessProbe'?",
    ),
    "service in the wrong place": (container("service: {}"), f"{C}.service", "did you mean 'workloads.web.service'?"),
    "no as a boolean": (container("variables: {DEBUG: no}"), f"{C}.variables.DEBUG", "no is read by YAML as a boolean"),
    "wrong version": (top("").replace("dev/v1", "dev/v9"), "apiVersion", "'anytier.dev/v9' is not known here"),
    "wrong kind": (top("").replace("App", "Deployment"), "kind", "'Deployment' is not known here"),
    "unknown tier": (top("overrides: {dokcer: {}}"), "overrides.dokcer", "did you mean 'docker'?"),
    "key that is no text": (top("? [a]\n: b"), "", "is not a key"),
    "tag": (container("args: !!python/object/apply:os.system [id]"), f"{C}.args", "has the tag"),
    "tag of ours": (container("user: !env HOME"), f"{C}.user", "has the tag !env"),
    "two documents": (top("---\na: b"), "", "is a second document"),
    "alias of nothing": (container("args: *nothing"), "", "is an alias of nothing"),
    "merge of a text": (
        top("").replace("name: shop", "<<: text, name: shop"),
        "metadata",
        "is merged but is no mapping",
    ),
    "tab": (HEAD + "workloads:\n\tweb: {}\n", "", "has a tab"),
    "control character": (top('x: "\x07"'), "", "holds a control character"),
    "line separator": (container('variables: {A: "a\u2028b"}'), "", "holds U+2028"),
    "next line": (container('variables: {A: "a\x85b"}'), "", "holds U+0085"),
    "open quotes": (top('x: "a'), "", "unexpected end of stream"),
    # references
    "cycle": (
        HEAD
        + "workloads:\n"
        + "".join(
            f"  {one}: {{host: {{command: [x]}}, dependsOn: {{{two}: {{}}}}}}\n" for one, two in ("ab", "bc", "ca")
        ),
        "workloads.a.dependsOn.b",
        "goes in a circle: a -> b -> c -> a",
    ),
    "itself": (workload("dependsOn: {web: {}}"), "workloads.web.dependsOn.web", "is the workload itself"),
    "unknown dependency": (
        workload("dependsOn: {wbe: {}}"),
        "workloads.web.dependsOn.wbe",
        "no workload 'wbe' (did you mean 'web'?)",
    ),
    "cycle of containers": (
        HEAD
        + "workloads: {web: {containers: {a: {image: x, before: {b: {ready: started}}}, "
        + "b: {image: x, before: {a: {ready: started}}}}}}\n",
        "workloads.web.containers.a.before.b",
        "goes in a circle",
    ),
    "unknown volume as a placeholder": (
        container('volumes: {/d: {source: "${resources.dta}"}}'),
        f"{C}.volumes./d.source",
        "${resources.dta} names no resource",
    ),
    "unknown volume": (container("volumes: {/d: {source: dta}}"), f"{C}.volumes./d.source", "names no resource"),
    "missing secret": (
        container("secrets: {TOKEN: tokn}") + "secrets: {token: {from: env}}\n",
        f"{C}.secrets.TOKEN",
        "t",
    ),
    "secret where all can read it": (
        container('args: ["${secrets.token}"]') + "secrets: {token: {from: env}}\n",
        f"{C}.args[0]",
        "where everybody can read it",
    ),
    "unknown placeholder": (container('variables: {A: "${workloads.wbe.host}"}'), f"{C}.variables.A", "mean 'web'?"),
    "open placeholder": (container('variables: {A: "${metadata.name"}'), f"{C}.variables.A", "is not a placeholder"),
    "route to nowhere": (top("routes: [{workload: wbe, port: 80}]"), "routes[0].workload", "did you mean 'web'?"),
    "route to no port": (top("routes: [{workload: web, port: 80}]"), "routes[0].port", "no port of web '80'"),
    "route twice": (
        workload("service: {ports: {http: {port: 80}}}")
        + "routes: [{path: /a, workload: web, port: 80}, {path: /a/, workload: web, port: http}]\n",
        "routes[1]",
        "the same host and path as routes[0]",
    ),
    # ports
    "port 0": (workload("service: {ports: {http: {port: 0}}}"), P, "0 is not a port"),
    "port 65536": (workload("service: {ports: {http: {port: 65536}}}"), P, "65536 is not a port"),
    "port 80abc": (workload('service: {ports: {http: {port: "80abc"}}}'), P, "'80abc' is text"),
    "port as text": (workload('service: {ports: {http: {port: "80"}}}'), P, "'80' is text"),
    "no port": (workload("service: {ports: {http: {port: }}}"), P, "is empty"),
    "the same port twice": (
        workload("service: {ports: {http: {port: 80}, web: {port: 80}}}"),
        "workloads.web.service.ports.web.port",
        "80 is the number of port http too",
    ),
    "the same host port twice": (
        HEAD
        + "workloads:\n"
        + "".join(
            f"  {name}: {{host: {{command: [x]}}, service: {{ports: {{http: {{port: 80, expose: {who}}}}}}}}}\n"
            for name, who in (("one", "host"), ("two", "public"))
        ),
        "workloads.two.service.ports.http.port",
        "80 is exposed by one.http too",
    ),
    # numbers
    "replicas -1": (workload("scale: {replicas: -1}"), "workloads.web.scale.replicas", "-1 is not"),
    "replicas 1.5": (workload("scale: {replicas: 1.5}"), "workloads.web.scale.replicas", "a whole number"),
    "replicas 10^9": (workload("scale: {replicas: 1000000000}"), "workloads.web.scale.replicas", "1000000000 is not"),
    "replicas of 50 digits": (workload(f"scale: {{replicas: {'9' * 50}}}"), "workloads.web.scale.replicas", "YAML"),
    "min above max": (workload("scale: {min: 3, max: 2}"), "workloads.web.scale.min", "3 is above max (2)"),
    "CPU NaN": (container("resources: {limits: {cpu: .nan}}"), f"{C}.resources.limits.cpu", "nan is not"),
    "CPU infinite": (container("resources: {limits: {cpu: .inf}}"), f"{C}.resources.limits.cpu", "inf is not"),
    "CPU NaN as text": (container("resources: {limits: {cpu: NaN}}"), f"{C}.resources.limits.cpu", "'NaN' is not"),
    "CPU 0": (container("resources: {limits: {cpu: 0}}"), f"{C}.resources.limits.cpu", "0 is not"),
    "CPU negative": (container("resources: {limits: {cpu: -0.5}}"), f"{C}.resources.limits.cpu", "-0.5 is not"),
    "memory without unit": (container("resources: {limits: {memory: 128}}"), f"{C}.resources.limits.memory", "no unit"),
    "memory without unit, as text": (
        container('resources: {limits: {memory: "128"}}'),
        f"{C}.resources.limits.memory",
        "'128' has no unit",
    ),
    "memory in MB": (container("resources: {limits: {memory: 1MB}}"), f"{C}.resources.limits.memory", "'1MB' is not"),
    "memory of milli-bytes": (
        container("resources: {limits: {memory: 128m}}"),
        f"{C}.resources.limits.memory",
        "'128m'",
    ),
    "memory of nothing": (container("resources: {limits: {memory: 0Mi}}"), f"{C}.resources.limits.memory", "range"),
    "memory without end": (container("resources: {limits: {memory: 9999Ei}}"), f"{C}.resources.limits.memory", "range"),
    "limit below request": (
        container("resources: {requests: {memory: 2Mi}, limits: {memory: 1Mi}}"),
        f"{C}.resources.limits.memory",
        "is below the request",
    ),
    "duration": (workload("update: {healthyDeadline: soon}"), "workloads.web.update.healthyDeadline", "not a duration"),
    "share": (workload("update: {maxParallel: 0%}"), "workloads.web.update.maxParallel", "neither a count nor"),
    # environment and files
    "variable 1A": (container("variables: {1A: x}"), f"{C}.variables.1A", "'1A' is not the name of an environment"),
    "variable with =": (container('variables: {"A=B": x}'), f"{C}.variables.A=B", "'A=B' is not the name"),
    "variable without a name": (container('variables: {"": x}'), f"{C}.variables.", "'' is not the name"),
    "long value": (container(f"variables: {{A: {'x' * 131072}}}"), f"{C}.variables.A", "is longer than 128 KiB"),
    "long value and its name": (container(f"variables: {{A: {'x' * 131070}}}"), f"{C}.variables.A", "with its name"),
    "NUL": (container('variables: {A: "a\\0b"}'), f"{C}.variables.A", "NUL"),
    "half a surrogate": (container('variables: {A: "\\ud800"}'), "", "invalid Unicode"),
    "file that climbs": (container("files: {/etc/../x: {content: a}}"), f'{C}.files["/etc/../x"]', "has . or .. in it"),
    "file of no place": (container("files: {etc/x: {content: a}}"), f"{C}.files.etc/x", "is not an absolute path"),
    "mode as a number": (container("files: {/x: {content: a, mode: 0644}}"), f"{C}.files./x.mode", "as a number"),
    "binary that is none": (container("files: {/x: {binaryContent: '%'}}"), f"{C}.files./x.binaryContent", "base64"),
    "volume and file at one place": (
        container("files: {/x: {content: a}}, volumes: {/x/: {source: data}}") + "resources: {data: {type: volume}}\n",
        f"{C}.files./x",
        "is the same place as",
    ),
    "volume that climbs": (
        container("volumes: {/x: {source: d, subPath: ../y}}") + "resources: {d: {type: volume}}\n",
        f"{C}.volumes./x.subPath",
        "leaves the volume",
    ),
    # probes
    "probe path without /": (
        container("readinessProbe: {httpGet: {path: healthz, port: 80}}"),
        f"{C}.readinessProbe.httpGet.path",
        "'healthz' does not start with /",
    ),
    "timeout over period": (
        container("readinessProbe: {httpGet: {port: 80}, periodSeconds: 5, timeoutSeconds: 6}"),
        f"{C}.readinessProbe.timeoutSeconds",
        "6 is longer than periodSeconds (5)",
    ),
    "probe of two kinds": (
        container("readinessProbe: {exec: {command: [a]}, tcpSocket: {port: 80}}"),
        f"{C}.readinessProbe.tcpSocket",
        "stands beside exec",
    ),
    "probe of no kind": (container("readinessProbe: {}"), f"{C}.readinessProbe", "has none of httpGet"),
    # images
    "empty image": (image('""'), f"{C}.image", "is empty"),
    "upper-case image": (image("Nginx"), f"{C}.image", "'Nginx' has upper-case letters"),
    "image by URL": (image("https://example.org/nginx"), f"{C}.image", "is a URL"),
    "image with blanks": (image("nginx latest"), f"{C}.image", "is not an image"),
    "image with a short digest": (image("nginx@sha256:123"), f"{C}.image", "is not an image"),
    "image at port 99999": (image("example.org:99999/nginx"), f"{C}.image", "is not an image"),
    "image with a password": (image(f"me:{CANARY}@example.org/nginx"), f"{C}.image", "holds credentials"),
    "image with a password and a digest": (
        image(f"me:{CANARY}@example.org/nginx@sha256:{'a' * 64}"),
        f"{C}.image",
        "holds credentials",
    ),
    "image by URL with a password": (image(f"https://me:{CANARY}@example.org/x"), f"{C}.image", "holds credentials"),
    "image with a password and a placeholder": (
        image(f"me:{CANARY}@x/${{metadata.name}}"),
        f"{C}.image",
        "credentials",
    ),
    "image and build": (container("build: {}"), f"{C}.build", "stands beside image"),
    # the rest
    "nothing runs": (HEAD + "workloads: {web: {}}\n", "workloads.web", "has neither containers nor host"),
    "no workload": (HEAD, "workloads", "there is none"),
    "canary without strategy": (
        workload("update: {canary: 1}"),
        "workloads.web.update.canary",
        "needs strategy canary",
    ),
    "deadline over deadline": (
        workload("update: {healthyDeadline: 5m, progressDeadline: 1m}"),
        "workloads.web.update.healthyDeadline",
        "is longer than progressDeadline",
    ),
    "unknown signal": (container("stopSignal: SIGFOO"), f"{C}.stopSignal", "'SIGFOO' is not a signal"),
    "capability": (container("securityContext: {capAdd: [CAP_NET_ADMIN]}"), f"{C}.securityContext.capAdd[0]", "CAP_"),
    "label": (
        top("").replace("name: shop", "name: shop, labels: {team: a b}"),
        "metadata.labels.team",
        "label's value",
    ),
    "host name": (
        workload("service: {ports: {http: {port: 80}}}") + "routes: [{workload: web, port: 80, host: a_b}]\n",
        "routes[0].host",
        "is not a host name",
    ),
    "schedule": (top('jobs: {j: {host: {command: [a]}, schedule: "* *"}}'), "jobs.j.schedule", "is not a schedule"),
    "minute 99": (
        top('jobs: {j: {host: {command: [a]}, schedule: "99 * * * *"}}'),
        "jobs.j.schedule",
        "'99' is no minute",
    ),
    "command of nothing": (workload('host: {command: [""]}'), "workloads.web.host.command[0]", "is empty"),
    "entrypoint of nothing": (container('command: ["", x]'), f"{C}.command[0]", "is empty"),
    "root that is not root": (
        container('user: "0:0", securityContext: {runAsNonRoot: true}'),
        f"{C}.user",
        "is root, beside runAsNonRoot",
    ),
    "Dockerfile elsewhere": (
        HEAD + "workloads: {web: {containers: {web: {build: {dockerfile: ../Dockerfile}}}}}\n",
        f"{C}.build.dockerfile",
        "leaves the context",
    ),
    "the same host twice": (
        workload("placement: {hosts: [one, two, one]}"),
        "workloads.web.placement.hosts[2]",
        "stands here twice",
    ),
    "time zone": (
        top("jobs: {j: {host: {command: [a]}, schedule: '@daily', timeZone: Mars/Base}}"),
        "jobs.j.timeZone",
        "is not a time zone",
    ),
    "resource's type": (top("resources: {d: {type: a b}}"), "resources.d.type", "'a b' is not a type"),
    "object": (top("objects: [{kind: X, metadata: {name: x}}]"), "objects[0]", "has no apiVersion"),
    "override that removes nothing": (
        top("overrides: {docker: {jobs: }}"),
        "overrides.docker.jobs",
        "what is not there",
    ),
    "override that is wrong": (
        top("overrides: {docker: {workloads: {web: {scale: {replicas: -1}}}}}"),
        "overrides.docker.workloads.web.scale.replicas",
        "-1 is not a number of replicas",
    ),
    "secret of an unknown source": (top("secrets: {token: {from: vault}}"), "secrets.token.from", "is not known here"),
    "secret without a blank": (top("secrets: {token:x}"), "secrets.token", "has no blank after its colon"),
    "secret without its file": (top("secrets: {token: {from: file}}"), "secrets.token", "has no path"),
    "secret with what it does not take": (
        top("secrets: {token: {from: env, path: x}}"),
        "secrets.token.path",
        "from: env",
    ),
}


@pytest.mark.parametrize(("text", "path", "said"), BAD.values(), ids=BAD.keys())
def test_one_mistake_is_one_error_that_names_the_field(text: str, path: str, said: str) -> None:
    [error] = wrong(text)
    assert error.path == path
    assert said in error.what
    assert CANARY not in repr(astuple(error))


SECRETIVE = {
    "a secret's value in place of its name": container(f"secrets: {{TOKEN: {CANARY}}}"),
    "a secret's value in place of its source": top(f"secrets: {{token: {{from: {CANARY}}}}}"),
    "a secret's value in place of its body": top(f"secrets: {{token: {CANARY}}}"),
    "a secret's value in a field of another": top(f"secrets: {{token: {{from: env, value: {CANARY}}}}}"),
    "a secret's value as a number of characters": top(f"secrets: {{token: {{from: generate, length: {CANARY}}}}}"),
    "a secret's value as a list": top(f"secrets: {{token: {{from: command, command: {CANARY}}}}}"),
    "a secret in an image": image(f"me:{CANARY}@example.org/x"),
    "a secret in text that is no YAML": top(f"secrets: {{token: {{from: '{CANARY}}}"),
    "a secret behind a tag": top(f"secrets: {{token: !x {CANARY}}}"),
    "a long placeholder": container(f'secrets: {{A: "${{secrets.{CANARY}}}"}}'),
    "a secret's value in place of its source, among others": top(
        f"secrets: {{one: {{from: env}}, token: {{from: {CANARY}}}, two: {{from: {{env: {CANARY}}}}}}}"
    ),
    "a secret's value without a blank before it": top(f"secrets: {{token:{CANARY}}}"),
    "a secret's value in a field without a blank before it": top(f"secrets: {{token: {{from:{CANARY}}}}}"),
    "a number that is a password": container("variables: {DB_PASSWORD: 4815162342}"),
    "a password with the start of a placeholder": container(f'variables: {{DB_PASSWORD: "ab${{{CANARY}"}}'),
    "a password that looks like a placeholder": container(f'variables: {{DB_PASSWORD: "ab${{{CANARY}}}"}}'),
    "a key in place of its secret's name": top(
        f"routes: [{{workload: web, port: 80, tls: {{secretRef: {{certificate: {CANARY}, key: {CANARY.lower()}}}}}}}]"
    ),
    "a secret in an image that has no blank before it": HEAD
    + f"workloads: {{web: {{containers: {{web: {{image:me:{CANARY}@example.org/x}}}}}}}}\n",
    "a secret in an image beside another mistake": container("comand: [a]").replace(
        "nginx", f'"me:{CANARY}@example.org/x"'
    ),
    "a secret with a slash in an image": image(f"me:x/{CANARY}@example.org/x"),
    "a secret in an image whose quotes are open": image(f'"me:{CANARY}@example.org/x'),
    "a secret in an image whose quotes are open, and a slash in it": image(f'"me:x/{CANARY}@example.org/x'),
    "a secret in an image in a mapping": image(f"{{name: 'me:{CANARY}@example.org/x'}}"),
    "a secret in an image of an override": top(
        "overrides: {docker: {workloads: {web: {containers: {web: "
        f'{{image: "me:{CANARY}@example.org/x"}}}}}}}}}}}}'
    ),
    "a secret in an image of a Score file": SCORE + f'containers: {{web: {{image: "me:{CANARY}@example.org/x"}}}}\n',
    "a secret in the URL of sources": HEAD
    + f"workloads: {{web: {{containers: {{web: {{build: {{context: 'https://me:{CANARY}@example.org/x.git'}}}}}}}}}}\n",
    "a secret in a host": top(f"routes: [{{workload: web, port: 80, host: 'https://me:{CANARY}@example.org'}}]"),
    "a secret in a comment": container(f"comand: [a]}}}}}}}} # me:{CANARY}@example.org/x"),
    "a secret in a URL beside a mistake": container(f"variables: {{URL: 'postgres://me:{CANARY}@db/x', DEBUG: no}}"),
}


@pytest.mark.parametrize("text", SECRETIVE.values(), ids=SECRETIVE.keys())
def test_a_secrets_value_is_never_echoed(text: str, tmp_path: Path) -> None:
    """tests/cli/test_canary.py looks at what is printed, too."""
    (tmp_path / "app.yaml").write_text(text)
    app, found = diagnose(tmp_path / "app.yaml")
    assert app is None and found
    assert not CANARIES.search(repr([astuple(item) for item in found]))


BYTES: dict[str, tuple[bytes, tuple[int, int], str]] = {
    "nothing": (b"", (1, 1), "is empty"),
    "comments only": (b"# nothing\n", (1, 1), "is empty"),
    "null": (b"~\n", (1, 1), "is empty"),
    "a list": (b"- a\n", (1, 1), "must be a mapping"),
    "a text": (b"hello\n", (1, 1), "must be a mapping"),
    "not UTF-8": (HEAD.encode() + b"x: \xe9\n", (4, 4), "is not UTF-8"),
    "UTF-16": (HEAD.encode("utf-16"), (1, 1), "is not UTF-8"),
    "a binary": (b"\x7fELF\x02\x01\x00\x00", (1, 1), "holds a control character"),
    "too large": (b"# " + b"x" * (8 * 2**20) + b"\n", (1, 1), "is larger than 8 MiB"),
    "deep lists": (b"a: " + b"[" * 100_000, (1, 63), "nested more than 60 deep"),
    "deep mappings": (b"".join(b" " * i + b"a:\n" for i in range(3_000)), (61, 61), "nested more than 60 deep"),
}


@pytest.mark.parametrize(("raw", "place", "said"), BYTES.values(), ids=BYTES.keys())
def test_what_is_no_spec_at_all_is_one_error(raw: bytes, place: tuple[int, int], said: str) -> None:
    [error] = wrong(raw)
    assert (error.line, error.column) == place
    assert said in error.what


def _bomb(kind: str) -> str:
    """Ten levels, each of ten aliases to the one below: 10^10 values in 600 bytes."""
    lines = ["a0: &a0 lol"]
    for level in range(1, 11):
        below = [f"*a{level - 1}"] * 10
        body = (
            f"[{', '.join(below)}]"
            if kind == "list"
            else "{" + ", ".join(f"k{i}: {v}" for i, v in enumerate(below)) + "}"
        )
        lines.append(f"a{level}: &a{level} {body}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text", [_bomb("list"), _bomb("map"), HEAD + "workloads: &w {a: *w}\n"], ids=["lists", "maps", "ring"]
)
def test_aliases_that_explode_are_stopped(text: str) -> None:
    before = time.process_time()
    [error] = [item for item in wrong(text) if "aliases" in item.what]
    assert "grows without end" in error.what
    assert time.process_time() - before < 10


@pytest.mark.parametrize("field", ["metadata.name", "image", "key", "label", "host", "variable", "duration", "signal"])
def test_a_text_of_a_megabyte_in_any_field_costs_no_time(field: str) -> None:
    long = "a" * 2**20
    spec: dict[str, Any] = {
        "metadata.name": named(long),
        "image": image(long + "-"),
        "key": container(f"{long}: x"),
        "label": top("").replace("name: shop", f"name: shop, labels: {{? {long}\n: x}}"),
        "host": top(f"routes: [{{workload: web, port: 80, host: {long}}}]"),
        "variable": container(f"variables: {{? 1{long}\n: x}}"),
        "duration": workload(f"update: {{healthyDeadline: {'1s' * 2**19}x}}"),
        "signal": container(f"stopSignal: {long}"),
    }
    before = time.process_time()
    found = wrong(spec[field])
    assert time.process_time() - before < 5
    assert all(len(item.what) < 500 and len(item.path) < 500 for item in found)


@pytest.mark.parametrize("text", ["${" * 300_000, "$" * 900_000, "$${" * 200_000 + "}", "${a}" * 20_000])
def test_a_text_full_of_dollars_costs_no_time(text: str) -> None:
    score = "apiVersion: score.dev/v1b1\nmetadata: {name: a}\ncontainers: {main: {image: a, files: {/x: {content: "
    before = time.process_time()
    diagnose_bytes(f"{score}'{text}'}}}}}}}}\n".encode(), "score.yaml")
    diagnose_bytes(container(f"files: {{/x: {{content: '{text}'}}}}").encode(), "app.yaml")
    assert time.process_time() - before < 10


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    found = wrong(
        "apiVersion: anytier.dev/v1\n"
        "kind: App\n"
        "metadata: {name: Shop}\n"
        "workloads:\n"
        "  web:\n"
        "    containers:\n"
        "      web:\n"
        "        image: nginx\n"
        "        comand: [a]\n"
        "        variables: {A: no}\n"
        "        readinessProbe: {httpGet: {path: x, port: 0}}\n"
        "    scale: {replicas: -1, replicas: 2}\n"
        "    dependsOn: {store: {}}\n"
        "routes:\n"
        "  - {workload: wbe, port: 80}\n"
    )
    assert [(item.line, item.path.rpartition(".")[2]) for item in found] == [
        (3, "name"),
        (9, "comand"),
        (10, "A"),
        (11, "path"),
        (11, "port"),
        (12, "replicas"),
        (12, "replicas"),
        (13, "store"),
        (15, "workload"),
    ]


def test_a_refused_value_hides_no_other_mistake_and_makes_none() -> None:
    """The port that cannot be read must not make the route to it look wrong; the other route is."""
    found = wrong(
        workload("service: {ports: {http: {port: 0}}}")
        + "routes: [{workload: web, port: http}, {workload: web, port: http, host: a.example.org, timeout: x}]\n"
    )
    assert [item.path for item in found] == [P, "routes[1].timeout"]


def test_an_unknown_field_hides_no_mistake_in_another_section_of_its_workload() -> None:
    found = wrong(workload("replica: 3, dependsOn: {stor: {}}"))
    assert [item.path for item in found] == ["workloads.web.replica", "workloads.web.dependsOn.stor"]


WEB = "image: nginx, variables: {A: a}"
STORE = (
    "store: {containers: {store: {image: nginx, readinessProbe: {tcpSocket: {port: 1}, periodSeconds: 5}}}, "
    "service: {ports: {db: {port: 5432}}}}"
)


def two(web: str = WEB, more: str = "service: {ports: {http: {port: 80}}}", rest: str = "", name: str = "web") -> str:
    body = f"{{containers: {{web: {{{web}}}}}{', ' if more else ''}{more}}}"
    return HEAD + f"workloads:\n  {name}: {body}\n  {STORE}\n{rest}\n"


# two mistakes that have nothing to do with each other -> the paths of both
PAIRS: dict[str, tuple[str, list[str]]] = {
    "a path in a list and a workload": (
        two(rest="routes: [{path: x, workload: wbe, port: 80}]"),
        ["routes[0].path", "routes[0].workload"],
    ),
    "a route without a port and its workload": (
        two(rest="routes: [{workload: wbe}]"),
        ["routes[0]", "routes[0].workload"],
    ),
    "an entry of a list and another": (
        two(rest="routes: [5, {workload: wbe, port: 80}]"),
        ["routes[0]", "routes[1].workload"],
    ),
    "an argument and a placeholder": (
        two(f'{WEB}, args: [1, "${{x.y}}"]'),
        ["workloads.web.containers.web.args[0]", "workloads.web.containers.web.args[1]"],
    ),
    "a port and a dependency": (
        two(
            more="service: {ports: {http: {port: 0}}}, dependsOn: {stroe: {}}",
            rest="routes: [{workload: web, port: 80}]",
        ),
        ["workloads.web.service.ports.http.port", "workloads.web.dependsOn.stroe"],
    ),
    "a name and what is below it": (
        two(name="Web", more="dependsOn: {stroe: {}}", rest="routes: [{workload: web, port: 80}]"),
        ["workloads.Web", "workloads.Web.dependsOn.stroe", "routes[0].port"],
    ),
    "a name that is asked for as it is written": (
        two(name="Web", more="dependsOn: {stroe: {}}, identity: {cloudRoles: {aws: '${workloads.Web.host}'}}"),
        ["workloads.Web", "workloads.Web.dependsOn.stroe"],
    ),
    "a workload that is none and a cycle": (
        two(
            rest="  a: 5\n  b: {host: {command: [x]}, dependsOn: {c: {}, a: {}}}\n"
            "  c: {host: {command: [x]}, dependsOn: {b: {}}}\nroutes: [{workload: a, port: 80}]"
        ),
        ["workloads.a", "workloads.b.dependsOn.c"],
    ),
    "a section that is none and a dependency": (
        two(f"{WEB}, secrets: {{T: token}}", "dependsOn: {stroe: {}}", "secrets: 5"),
        ["workloads.web.dependsOn.stroe", "secrets"],
    ),
    "a field of a probe and its timing": (
        two(f"{WEB}, readinessProbe: {{httpGet: {{path: x, port: 80}}, periodSeconds: 1, timeoutSeconds: 2}}"),
        [f"{C}.readinessProbe.httpGet.path", f"{C}.readinessProbe.timeoutSeconds"],
    ),
    "a probe's period and a limit": (
        two(
            f"{WEB}, readinessProbe: {{httpGet: {{port: 80}}, periodSeconds: 0, timeoutSeconds: 20}}, "
            "resources: {limits: {cpu: 1m}, requests: {cpu: 2m}}"
        ),
        [f"{C}.readinessProbe.periodSeconds", f"{C}.resources.limits.cpu"],
    ),
    "an image and a placeholder beside it": (
        two('image: NGINX, args: ["${x.y}"]'),
        [f"{C}.image", f"{C}.args[0]"],
    ),
    "a misspelt field and what is in it": (
        two('image: nginx, argss: ["${x.y}"]'),
        [f"{C}.argss", f"{C}.argss[0]"],
    ),
    "a misspelt section of a workload": (
        two(
            more="servce: {ports: {http: {port: 80}}}",
            rest="routes: [{workload: web, port: 80}, {workload: a, port: 1, path: /a}]",
        ),
        ["workloads.web.servce", "routes[1].workload"],
    ),
    "a field of other tools": (
        two(more="ports: [80], dependsOn: {stroe: {}}", rest="routes: [{workload: web, port: 80}]"),
        ["workloads.web.ports", "workloads.web.dependsOn.stroe"],
    ),
    "a section of other tools": (
        two(f"{WEB}, volumes: {{/data: {{source: data}}}}", "dependsOn: {stroe: {}}", "volumes: {data: {}}"),
        ["workloads.web.dependsOn.stroe", "volumes"],
    ),
    "a number of replicas and a metric": (
        two(more="scale: {max: x, metrics: [{cpu: 500}, {}]}"),
        ["workloads.web.scale.max", "workloads.web.scale.metrics[0].cpu", "workloads.web.scale.metrics[1]"],
    ),
    "a trigger and a name": (
        two(rest="jobs: {store: {host: {command: [a]}, trigger: cron, schedule: '@daily', timeZone: UTC}}"),
        ["jobs.store", "jobs.store.trigger"],
    ),
    "a secret's source and another's file": (
        two(rest="secrets: {a: {from: x, path: y}, b: {from: file}}"),
        ["secrets.a.from", "secrets.b"],
    ),
    "a protocol and the same port": (
        two(more="service: {ports: {a: {port: 53, protocol: tcp}, b: {port: 53, protocol: UDP}}}, dependsOn: {x: {}}"),
        ["workloads.web.service.ports.a.protocol", "workloads.web.dependsOn.x"],
    ),
    "a value and an override's": (
        two(
            "image: NGINX", rest="overrides: {docker: {workloads: {web: {scale: {replicas: -1}, dependsOn: {x: {}}}}}}"
        ),
        [
            f"{C}.image",
            "overrides.docker.workloads.web.scale.replicas",
            "overrides.docker.workloads.web.dependsOn.x",
        ],
    ),
    "a name and an override below it": (
        two(
            name="Web",
            more="",
            rest="overrides: {docker: {workloads: {Web: {scale: {replicas: -1}}, store: {dependsOn: {x: {}}}}}}",
        ),
        ["workloads.Web", "overrides.docker.workloads.store.dependsOn.x"],
    ),
    "what cannot be read and a dependency": (
        two("image: !x nginx", "dependsOn: {stroe: {}}"),
        [f"{C}.image", "workloads.web.dependsOn.stroe"],
    ),
    "a value of a Score file and a placeholder": (
        SCORE + "containers: {web: {image: !x a}, two: {image: NGINX, variables: {A: '${resources.db}'}}}\n",
        ["containers.web.image", "containers.two.image", "containers.two.variables.A"],
    ),
}


@pytest.mark.parametrize(("text", "paths"), PAIRS.values(), ids=PAIRS.keys())
def test_one_mistake_hides_no_other_and_makes_none(text: str, paths: list[str]) -> None:
    assert [item.path for item in wrong(text)] == paths, [astuple(item) for item in wrong(text)]


def test_a_file_that_is_not_there_is_told_beside_a_value_that_is_refused(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(two("image: NGINX, files: {/a: {source: a.txt}, /b: {source: 5}}"))
    found = diagnose(tmp_path / "app.yaml")[1]
    assert [item.path for item in found] == [f"{C}.image", f"{C}.files./a.source", f"{C}.files./b.source"]


def test_a_thousand_mistakes_are_told_in_time() -> None:
    lines = [f"  w{i}: {{host: {{command: [a]}}, dependsOn: {{x{i}: {{}}}}}}" for i in range(1000)]
    before = time.process_time()
    found = wrong(HEAD + "workloads:\n" + "\n".join(lines) + "\n")
    assert len(found) == 1000
    assert time.process_time() - before < 15


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    app, [error] = diagnose(tmp_path / "none.yaml")
    assert app is None and "No such file" in error.what
    app, [error] = diagnose(tmp_path)
    assert app is None and "directory" in error.what
    app, [error] = diagnose("a\0b")
    assert app is None and "cannot be read" in error.what


def test_files_that_the_spec_names_are_looked_for(tmp_path: Path) -> None:
    spec = tmp_path / "app.yaml"
    spec.write_text(
        HEAD + "workloads: {web: {containers: {web: {build: {context: srv}, files: {/a: {source: a.txt}}}}}}\n"
    )
    app, found = diagnose(spec)
    assert app is None
    assert {item.path for item in found} == {f"{C}.build.context", f"{C}.files./a.source"}
    (tmp_path / "srv").mkdir()
    (tmp_path / "a.txt").write_text("x")
    assert diagnose(spec)[0] is not None


def test_load_raises_what_diagnose_finds() -> None:
    with pytest.raises(SpecError, match="replicas: -1 is not a number"):
        load(workload("scale: {replicas: -1}"))
    with pytest.raises(ExceptionGroup) as group:
        load(workload("scale: {replicas: -1}, update: {retain: 0}"))
    assert len(group.value.exceptions) == 2


def test_an_unknown_tier_is_told() -> None:
    app, found = diagnose_bytes(top("").encode(), "app.yaml", tier="dokcer")
    assert app is None and "there is no tier 'dokcer'" in found[0].what
