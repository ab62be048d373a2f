"""Any valid score.dev/v1b1 file loads, or says which of its own fields no tier can carry."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.spec.strategies import raw_texts, some
from tests.spec.test_properties import examples

from anytier.spec import diagnose_bytes
from anytier.spec.document import parse


def matching(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern, fullmatch=True)


names = matching(r"[a-z0-9][a-z0-9-]{0,8}[a-z0-9]")
keys = matching(r"([a-z0-9][a-z0-9-]{0,4}[a-z0-9]/)?[A-Za-z0-9][A-Za-z0-9._-]{0,8}[A-Za-z0-9]")
full_texts = raw_texts.filter(bool)
annotations = st.dictionaries(keys, raw_texts, max_size=2)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), raw_texts), lambda below: st.lists(below, max_size=2)
)
ports = st.integers(1, 65535)
words = st.lists(raw_texts, max_size=2)
_UNITS = "(K|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?"
amounts = some(
    {},
    {
        "cpu": matching(r"[0-9]{1,3}(m|\.[0-9]{1,2})?"),
        "memory": matching(rf"(0\.[0-9]{{1,2}}|[1-9][0-9]{{0,3}}(\.[0-9])?){_UNITS}"),
    },
)
_header = st.fixed_dictionaries({"name": matching(r"[A-Za-z0-9_-]{1,6}"), "value": full_texts})
_get = some(
    {"port": ports, "path": st.one_of(st.just("/x"), raw_texts)},
    {"host": full_texts, "scheme": st.sampled_from(["HTTP", "HTTPS"]), "httpHeaders": st.lists(_header, max_size=1)},
)
_exec = st.fixed_dictionaries({"command": words})
probes = st.one_of(
    _get.map(lambda body: {"httpGet": body}),
    _exec.map(lambda body: {"exec": body}),
    st.builds(lambda get, exec: {"httpGet": get, "exec": exec}, _get, _exec),
)
targets = st.one_of(matching(r"/[a-z/. ]{1,8}"), full_texts)
_more = {"mode": st.sampled_from(["0600", "644"]), "noExpand": st.booleans()}
files = st.one_of(
    some({"content": raw_texts}, _more),
    some({"source": full_texts}, _more),
    some({"binaryContent": st.sampled_from(["", "YQ==", "?"])}, _more),
)
volumes = some(
    {"source": st.one_of(names, st.just("${resources.data}"), raw_texts)},
    {"path": raw_texts, "readOnly": st.booleans()},
)


def both_forms(entries: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Any]:
    """By target, or the older list of entries that carry their target."""
    as_map = st.dictionaries(targets, entries, max_size=2)
    as_list = st.lists(st.builds(lambda target, entry: {"target": target, **entry}, targets, entries), max_size=2)
    return st.one_of(as_map, as_list)


_env_keys = st.one_of(st.just("A"), full_texts.filter(lambda text: "=" not in text))
_ready = st.fixed_dictionaries({"ready": st.sampled_from(["started", "healthy", "complete"])})
containers = some(
    {"image": st.one_of(st.sampled_from([".", "nginx", "a/b:c"]), full_texts)},
    {
        "command": words,
        "args": words,
        "variables": st.dictionaries(_env_keys, raw_texts, max_size=2),
        "files": both_forms(files),
        "volumes": both_forms(volumes),
        "before": st.dictionaries(names, _ready, max_size=1),
        "resources": some({}, {"limits": amounts, "requests": amounts}),
        "livenessProbe": probes,
        "readinessProbe": probes,
    },
)
resources = some(
    {"type": st.sampled_from(["volume", "postgres", "dns"])},
    {
        "class": names,
        "id": matching(r"[a-z0-9]{2,5}(\.[a-z0-9]{1,4})?"),
        "metadata": st.fixed_dictionaries({"annotations": annotations}),
        "params": st.dictionaries(raw_texts, anything, max_size=2),
    },
)
_known = some({"name": names}, {"annotations": annotations})
_port = some({"port": ports}, {"targetPort": ports, "protocol": st.sampled_from(["TCP", "UDP"])})
score_files = some(
    {
        "apiVersion": st.just("score.dev/v1b1"),
        "metadata": st.builds(
            lambda more, known: {**more, **known}, st.dictionaries(raw_texts, anything, max_size=2), _known
        ),
        "containers": st.dictionaries(names, containers, min_size=1, max_size=2),
    },
    {
        "service": some({}, {"ports": st.dictionaries(names, _port, max_size=2)}),
        "resources": st.dictionaries(st.one_of(names, st.just("data")), resources, max_size=2),
    },
)


@examples(120)
@given(score_files, st.booleans())
def test_a_valid_file_loads_or_names_the_field_in_its_own_words(data: dict[str, Any], as_json: bool) -> None:
    raw = (json.dumps(data) if as_json else yaml.safe_dump(data)).encode()
    app, found = diagnose_bytes(raw, "score.yaml")
    errors = [item for item in found if item.severity == "error"]
    assert (app is None) == bool(errors)
    document = parse(raw)
    places = {document.locate(path, at_key) for path in _paths(data) for at_key in (True, False)}
    for item in found:
        assert item.path.split(".")[0].split("[")[0] in data, item
        assert item.what and item.do
        assert (item.line, item.column) in places, item


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(below for key, item in items for below in _paths(item, (*path, key)))]
