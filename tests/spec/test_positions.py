"""Every finding stands at its line and column, in whatever way YAML lets a person write the same thing.

A `¡` in a text marks the place; it is taken out before the text is read.
"""

from __future__ import annotations

import json

import pytest

from anytier.spec import diagnose_bytes
from anytier.spec.document import parse

HEAD = "apiVersion: anytier.dev/v1\nkind: App\nmetadata: {name: shop}\n"
WEB = HEAD + "workloads:\n  web:\n    containers:\n      web:\n        image: nginx\n"


def places(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its marks, and where they stood."""
    found: list[tuple[int, int]] = []
    while "¡" in text:
        before, text = text.split("¡", 1)
        found.append((before.count("\n") + 1, len(before) - before.rfind("\n")))
        text = before + text
    return text, found


MARKED = {
    "block style": WEB + "        variables:\n          A: ¡no\n",
    "flow style": HEAD + "workloads: {web: {containers: {web: {image: nginx, variables: {B: x, A: ¡no}}}}}\n",
    "flow style over lines": HEAD + "workloads: {web: {containers: {web: {\n  image: nginx,\n  stopSignal: ¡TERM}}}}\n",
    "a list in a block": WEB
    + "    service: {ports: {http: {port: 80}}}\n"
    + "routes:\n  - workload: web\n    port: 80\n    path: ¡x\n".replace("port: 80", "port: http")
    + "jobs: {}\n",
    "an unknown key at its key": WEB + "        ¡comand: [a]\n",
    "a missing field at what lacks it": HEAD + "workloads:\n  web:\n    host: {command: [a]}\nroutes:\n  - ¡port: 80\n",
    "a mapping at its key": WEB + "        ¡readinessProbe:\n          periodSeconds: 3\n",
    "a quoted value": WEB + '        user: ¡"a b"\n',
    "a value on its own line": WEB + "        user:\n          ¡a b\n",
    "a value after a block text": WEB
    + "        files:\n          /a:\n            content: |\n              user: x\n              \n              y\n"
    + "            mode: ¡'9'\n",
    "a block text itself": WEB + "        image_: x\n".replace("image_", "¡image_"),
    "a folded text": WEB + "        user: ¡>-\n          a\n          b\n",
    "after comments": "# one\n\n# two\n" + WEB + "        # three\n        user: ¡a b  # four\n",
    "a duplicate key at the second": WEB + "        ¡image: httpd\n",
    "an anchored value at its anchor": WEB + "        user: ¡&u a b\n",
    "a tagged value": WEB + "        user: ¡!!str a b\n",
    "an explicit key": WEB + "        ? user\n        : ¡a b\n",
    "a quoted key": WEB + '        ¡"comand": [a]\n',
    "text that is not ASCII before it": WEB + "        variables: {GREETING: 'grüß 東京 😀', A: ¡no}\n",
    "a line of text that is not ASCII above": WEB + "        # 😀 東京\n        user: ¡a b\n",
    "a bad name at its key": HEAD + "workloads:\n  ¡Web: {host: {command: [a]}}\n",
    "a reference": WEB + "    dependsOn:\n      ¡store: {}\n",
    "an entry of a list": WEB + '        args: [a, "b", ¡"${x.y}"]\n',
    "an override": WEB + "overrides:\n  docker:\n    workloads: {web: {scale: {replicas: ¡-1}}}\n",
    "two on one line": WEB + "        variables: {A: ¡no, B: ¡1}\n",
    "nothing but a key": HEAD + "workloads:\n  web: {containers: {web: {image: nginx}}, scale: {replicas: ¡}}\n",
    "an open quote": WEB + "        user: ¡'abc\n        args: [a]\n",
    "a tab": HEAD + "workloads:\n  web:\n¡\tcontainers: {}\n",
    "a second document": WEB + "¡---\na: b\n",
    "a missing top field": "¡apiVersion: anytier.dev/v1\nkind: App\nworkloads: {web: {host: {command: [a]}}}\n",
}


@pytest.mark.parametrize("marked", MARKED.values(), ids=MARKED.keys())
@pytest.mark.parametrize("kind", ["LF", "CRLF", "BOM"])
def test_a_finding_stands_where_the_mistake_is(marked: str, kind: str) -> None:
    text, expected = places(marked)
    raw = text.replace("\n", "\r\n") if kind == "CRLF" else text
    app, found = diagnose_bytes(raw.encode("utf-8-sig" if kind == "BOM" else "utf-8"), "app.yaml")
    assert app is None
    assert [(item.line, item.column) for item in found] == expected, found


def test_what_an_alias_repeats_stands_where_it_is_written() -> None:
    text, expected = places(
        HEAD
        + "workloads:\n"
        + "  one: &one {containers: {web: {image: nginx, user: ¡a b}}}\n"
        + "  two: *one\n"
        + "  three: {containers: {web: {image: nginx, variables: {A: *one}}}}\n"
    )
    app, found = diagnose_bytes(text.encode(), "app.yaml")
    assert app is None
    assert [(item.line, item.column, item.path) for item in found] == [
        (*expected[0], "workloads.one.containers.web.user"),
        (*expected[0], "workloads.two.containers.web.user"),
        (7, 56, "workloads.three.containers.web.variables.A"),
    ]


def test_what_a_merge_brings_in_stands_where_it_is_written_and_what_overrides_it_where_that_is() -> None:
    text, expected = places(
        HEAD
        + "workloads:\n"
        + "  one:\n"
        + "    containers:\n"
        + "      web: &web {image: nginx, user: ¡a b, stopSignal: SIGTERM}\n"
        + "  two:\n"
        + "    containers:\n"
        + "      web:\n"
        + "        <<: [*web]\n"
        + "        stopSignal: ¡TERM\n"
    )
    app, found = diagnose_bytes(text.encode(), "app.yaml")
    assert app is None
    assert [(item.line, item.column) for item in found] == [expected[0], expected[0], expected[1]]


def test_json_is_read_with_its_positions() -> None:
    spec = {
        "apiVersion": "anytier.dev/v1",
        "kind": "App",
        "metadata": {"name": "shop", "annotations": {"note": 'a/b 😀\u2028 \\u0041 "q"\t'}},
        "workloads": {"web": {"containers": {"web": {"image": "nginx", "user": "a b"}}}},
    }
    for indent in (None, 2, "\t"):
        for ascii_only in (True, False):
            text = json.dumps(spec, indent=indent, ensure_ascii=ascii_only)
            at = text.index('"a b"')
            app, [error] = diagnose_bytes(text.encode(), "app.json")
            assert app is None
            assert (error.line, error.column) == (text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))


def test_json_texts_are_read_to_the_byte() -> None:
    value = 'a/b 😀 \u2028\u2029\x85 \\u0041 "q" \t\n\r \\\\ud83d\\ude00 end 👩‍🚀'
    spec = {
        "apiVersion": "anytier.dev/v1",
        "kind": "App",
        "metadata": {"name": "shop"},
        "workloads": {
            "web": {"containers": {"web": {"image": "nginx", "variables": {"A": value, "B": "\ue000\ue001"}}}}
        },
    }
    for ascii_only in (True, False):
        text = json.dumps(spec, ensure_ascii=ascii_only).replace("a/b", "a\\/b")
        app, found = diagnose_bytes(text.encode(), "app.json")
        assert app is not None, found
        assert app.workloads["web"].containers["web"].variables == {"A": value, "B": "\ue000\ue001"}


def test_where_a_secret_may_stand_is_known_for_whoever_prints_the_text() -> None:
    text, expected = places(
        HEAD
        + 'secrets: {token: {from: env, key: "😀", value: ¡hunter2}}\n'
        + "workloads: {web: {containers: {web: {image: nginx, variables: {DB_PASSWORD: ¡hunter2, HOST: db}}}}}\n"
    )
    hidden = parse(text.encode()).hidden()
    lines = text.splitlines()
    starts = [(line + 1, column + 1) for line, column, _, _ in hidden]
    assert set(expected) <= set(starts)
    for line, start, last, end in hidden:
        assert line == last
        assert lines[line][start:end] in ('"😀"', "hunter2")


def test_a_secret_behind_json_escapes_is_known_too() -> None:
    text = '{"a": "\\ud83d\\ude00", "password": "hunter2"}'
    [(line, start, last, end)] = parse(text.encode()).hidden()
    assert (line, last, text[start:end]) == (0, 0, '"hunter2"')
