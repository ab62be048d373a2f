"""Random app specs that are valid, as plain data in the form of the file; and random ways to spoil them."""

from __future__ import annotations

import base64
import copy
from typing import Any

from hypothesis import strategies as st

from anytier.spec.placeholders import escape
from anytier.spec.values import format_memory

names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
env_keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
targets = st.lists(
    st.from_regex(r"[A-Za-z0-9 _.:'\"$-]{1,8}", fullmatch=True).filter(lambda s: s not in (".", "..")),
    min_size=1,
    max_size=3,
).map(lambda steps: "/" + "/".join(steps))
# What shells, YAML, systemd units and JSON treat specially, and what they don't.
_ODD = st.sampled_from(
    [
        *(
            "",
            " ",
            "~",
            "no",
            "1e3",
            "0x1f",
            "a: b",
            "- a",
            "#x",
            "'",
            '"',
            "\\",
            "$",
            "$$",
            "`x`",
            "%n",
            "{}",
            "[",
            "|",
        ),
        *(
            "|",
            ">",
            "&a",
            "*a",
            "!x",
            "@x",
            "\t",
            "a\nb",
            " a",
            "a ",
            "\r\n",
            "\x85",
            "\u2028",
            "é",
            "東京",
            "😀",
            "\x07",
        ),
        *("\x1b[0m", "\x7f", "\ufeff", "<a>", "&amp;", "]]>", "=", ";", "x" * 200, "---\n", "...\n", "? x", "\ue000"),
    ]
)
_CHARS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
raw_texts = st.one_of(_ODD, st.text(_CHARS, max_size=20), st.lists(_ODD, max_size=4).map("".join))
texts = raw_texts.map(escape)
arguments = st.lists(texts, max_size=3)
commands = st.builds(lambda first, rest: [first, *rest], texts.filter(bool), arguments)
ports = st.integers(1, 65535)
durations = st.one_of(
    st.integers(2, 3600),
    st.builds(lambda n, unit: f"{n}{unit}", st.integers(2, 50), st.sampled_from(["s", "m", "h"])),
)
label_values = st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?)?", fullmatch=True)
meta_keys = st.from_regex(r"([a-z0-9]{1,5}\.[a-z]{2,3}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?", fullmatch=True)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(meta_keys, label_values, max_size=2),
        "annotations": st.dictionaries(meta_keys, raw_texts, max_size=2),
    },
)
images = st.sampled_from(
    ["nginx", "nginx:1.27", "ghcr.io/a/b-c/d_e:v1.0", "localhost:5000/x", "[::1]:5000/x", "a@sha256:" + "0f" * 32]
)


def some(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


@st.composite
def amounts(draw: st.DrawFn) -> dict[str, Any]:
    """Requests that are at most the limits."""
    cpu, memory = draw(st.integers(1, 4000)), draw(st.integers(1, 2**40))
    return {
        "requests": {"cpu": f"{draw(st.integers(1, cpu))}m", "memory": format_memory(draw(st.integers(1, memory)))},
        "limits": {"cpu": draw(st.sampled_from([f"{cpu}m", cpu / 1000])), "memory": format_memory(memory)},
    }


_actions = st.one_of(
    some({"port": ports}, {
        "path": st.sampled_from(["/", "/healthz", "/a?b=c&d"]),
        "scheme": st.sampled_from(["HTTP", "HTTPS"]),
        "host": texts.filter(bool),
        "httpHeaders": st.lists(st.fixed_dictionaries({"name": env_keys, "value": texts}), max_size=2),
    }).map(lambda body: {"httpGet": body}),
    st.fixed_dictionaries({"command": commands}).map(lambda body: {"exec": body}),
    st.fixed_dictionaries({"port": ports}).map(lambda body: {"tcpSocket": body}),
    some({"port": ports}, {"service": raw_texts}).map(lambda body: {"grpc": body}),
)  # fmt: skip
_timing = some(
    {},
    {
        "initialDelaySeconds": st.integers(0, 60),
        "periodSeconds": st.integers(5, 60),
        "timeoutSeconds": st.sampled_from([1, 0.5, 5]),
        "failureThreshold": st.integers(1, 9),
    },
)
probes = st.builds(lambda action, timing: {**action, **timing}, _actions, _timing)
hooks = st.one_of(
    st.fixed_dictionaries({"command": commands}).map(lambda body: {"exec": body}),
    st.integers(0, 9).map(lambda seconds: {"sleep": {"seconds": seconds}}),
)
files = some(
    {}, {"mode": st.sampled_from(["0644", "600", "0755"]), "owner": st.sampled_from(["app", 1000, "1:2"])}
).flatmap(
    lambda more: st.one_of(
        texts.map(lambda text: {"content": text, **more}),
        raw_texts.map(lambda text: {"content": text, "noExpand": True, **more}),
        st.binary(max_size=9).map(lambda raw: {"binaryContent": base64.b64encode(raw).decode(), **more}),
    )
)
ways = st.one_of(
    images.map(lambda image: {"image": image}),
    some({}, {"args": st.dictionaries(env_keys, texts, max_size=2), "target": raw_texts}).map(lambda b: {"build": b}),
)


@st.composite
def containers(draw: st.DrawFn, secrets: list[str], volumes: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = dict(draw(ways))
    body |= draw(
        some(
            {},
            {
                "command": st.one_of(st.just([]), commands),
                "args": arguments,
                "user": st.sampled_from(["app", "1000:1000", 33]),
                "variables": st.dictionaries(env_keys.map(lambda key: f"V{key}"), texts, max_size=4),
                "resources": amounts(),
                "livenessProbe": probes,
                "readinessProbe": probes,
                "startupProbe": probes,
                "lifecycle": some({}, {"postStart": hooks, "preStop": hooks}),
                "stopSignal": st.sampled_from(["SIGTERM", "SIGINT", "SIGRTMIN+3"]),
                "stopGracePeriod": durations,
                "securityContext": some({}, {"runAsNonRoot": st.booleans(), "capDrop": st.just(["ALL"])}),
                "files": st.dictionaries(targets.map(lambda path: f"/f{path}"), files, max_size=2),
            },
        )
    )
    if secrets:
        body["secrets"] = draw(
            st.dictionaries(env_keys.map(lambda key: f"S{key}"), st.sampled_from(secrets), max_size=2)
        )
        body.setdefault("variables", {})["VSECRET"] = f"x${{secrets.{draw(st.sampled_from(secrets))}}}"
    if volumes:
        mounts = st.fixed_dictionaries({"source": st.sampled_from(volumes)})
        body["volumes"] = draw(st.dictionaries(targets.map(lambda path: f"/v{path}"), mounts, max_size=2))
    return body


@st.composite
def bodies(draw: st.DrawFn, secrets: list[str], volumes: list[str]) -> dict[str, Any]:
    """What workloads and jobs have in common."""
    body: dict[str, Any] = {}
    if draw(st.booleans()):
        body["host"] = draw(some({"command": commands}, {"variables": st.dictionaries(env_keys, texts, max_size=2)}))
    if "host" not in body or draw(st.booleans()):
        body["containers"] = draw(st.dictionaries(names, containers(secrets, volumes), min_size=1, max_size=2))
        order = list(body["containers"])
        if len(order) == 2 and draw(st.booleans()):
            body["containers"][order[0]]["before"] = {
                order[1]: {"ready": draw(st.sampled_from(["started", "complete"]))}
            }
    if draw(st.booleans()):
        body["metadata"] = draw(metadata)
    return body


@st.composite
def workloads(draw: st.DrawFn, secrets: list[str], volumes: list[str], earlier: list[str]) -> dict[str, Any]:
    body = draw(bodies(secrets, volumes))
    if draw(st.booleans()):
        numbers = draw(st.lists(ports, min_size=1, max_size=2, unique=True))
        body["service"] = {
            "ports": {f"p{i}": {"port": number, "targetPort": draw(ports)} for i, number in enumerate(numbers)}
        }
    if draw(st.booleans()):
        body["scale"] = {"replicas": draw(st.integers(0, 1000))}
    body |= draw(
        some(
            {},
            {
                "update": some(
                    {},
                    {
                        "strategy": st.sampled_from(["rolling", "recreate", "bluegreen"]),
                        "order": st.sampled_from(["start-first", "stop-first"]),
                        "maxParallel": st.one_of(st.integers(1, 1000), st.sampled_from(["1%", "100%"])),
                        "healthyDeadline": durations,
                        "retain": st.integers(1, 9),
                    },
                ),
                "placement": some(
                    {},
                    {
                        "hosts": st.lists(raw_texts, max_size=2, unique=True),
                        "spread": st.sampled_from(["host", "zone"]),
                    },
                ),
                "identity": st.dictionaries(st.sampled_from(["aws", "gcp"]), texts, max_size=2).map(
                    lambda roles: {"cloudRoles": roles}
                ),
            },
        )
    )
    if earlier:
        body["dependsOn"] = draw(
            st.dictionaries(st.sampled_from(earlier), st.just({"condition": "healthy"}), max_size=2)
        )
    return body


@st.composite
def apps(draw: st.DrawFn) -> dict[str, Any]:
    """A valid spec. Every name in it leads somewhere."""
    secrets = draw(st.lists(names, max_size=2, unique=True))
    volumes = draw(st.lists(names, max_size=2, unique=True))
    all_names = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    count = draw(st.integers(1, len(all_names)))
    spec: dict[str, Any] = {
        "apiVersion": "anytier.dev/v1",
        "kind": "App",
        "metadata": {"name": draw(names), **draw(metadata)},
        "workloads": {},
    }
    for index, name in enumerate(all_names[:count]):
        spec["workloads"][name] = draw(workloads(secrets, volumes, all_names[:index]))
    for name in all_names[count:]:
        spec.setdefault("jobs", {})[name] = draw(bodies(secrets, volumes)) | draw(
            some({}, {"trigger": st.sampled_from(["manual", "preDeploy", "postDeploy"]), "timeout": durations})
        )
    if secrets:
        spec["secrets"] = {name: draw(_secrets) for name in secrets}
    if volumes:
        spec["resources"] = {name: {"type": "volume"} for name in volumes}
    open_ports = [
        (name, port) for name, body in spec["workloads"].items() for port in body.get("service", {}).get("ports", {})
    ]
    if open_ports:
        spec["routes"] = [
            {"workload": workload, "port": port, "path": f"/{index}"} | draw(some({}, {"stripPrefix": st.booleans()}))
            for index, (workload, port) in enumerate(draw(st.lists(st.sampled_from(open_ports), max_size=3)))
        ]
    return spec


_secrets = st.one_of(
    some({"from": st.sampled_from(["config", "env"])}, {"key": raw_texts}),
    some({"from": st.just("file"), "path": st.just("a b/c")}, {}),
    some({"from": st.just("command"), "command": st.lists(raw_texts, min_size=1, max_size=3)}, {"timeout": durations}),
    some({"from": st.just("generate")}, {"length": st.integers(8, 4096), "charset": st.sampled_from(["hex", "ascii"])}),
)

# ways to spoil a spec

_JUNK: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.integers(10**30, 10**60), raw_texts,
        st.sampled_from(["${", "${secrets.x}", "$${", "80abc", "-1", "NaN", "../../etc", "a_b", "x" * 70]),
    ),
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(raw_texts, below, max_size=3)),
    max_leaves=4,
)  # fmt: skip


def _spots(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in it."""
    items = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [spot for key, below in items for spot in [(value, key), *_spots(below)]]


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """A valid spec with a few changes that no person could have meant."""
    spec = copy.deepcopy(draw(apps()))
    for _ in range(draw(st.integers(1, 4))):
        spots = _spots(spec)
        if not spots:
            break
        holder, key = spots[draw(st.integers(0, len(spots) - 1))]
        way = draw(st.sampled_from(["drop", "junk", "rename", "add"]))
        if way == "drop":
            del holder[key]
        elif way == "junk" or not isinstance(holder, dict):
            holder[key] = draw(_JUNK)
        elif way == "rename":
            holder[draw(st.one_of(raw_texts, st.just(f"{key}x")))] = holder.pop(key)
        else:
            holder[draw(raw_texts)] = draw(_JUNK)
    return spec
