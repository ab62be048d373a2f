"""Which configs go when no kept revision names them, and which are nobody's to take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.provider.kubernetes.objects import deployment

from anytier.provider.kubernetes.kinds import selector
from anytier.provider.kubernetes.workload import KEPT_FOR, keep

HERE = "/api/v1/namespaces/shop/configmaps"


class Api:
    """A namespace's ConfigMaps by their labels."""

    def __init__(self, configs: Mapping[str, Mapping[str, str]]) -> None:
        self.configs = dict(configs)
        self.owned: dict[str, Any] = {}

    async def items(self, path: str, labelSelector: str) -> list[Any]:
        wanted = [term.partition("=") for term in labelSelector.split(",")]
        return [
            {"metadata": {"name": name}}
            for name, labels in self.configs.items()
            if path == HERE and all(key in labels and (not sign or labels[key] == value) for key, sign, value in wanted)
        ]

    async def delete(self, path: str) -> None:
        del self.configs[path.removeprefix(f"{HERE}/")]

    async def patch(self, path: str, body: Any) -> None:
        self.owned[path.removeprefix(f"{HERE}/")] = body["metadata"]["ownerReferences"][0]["uid"]


async def kept(labels: Mapping[str, str], configs: Mapping[str, Mapping[str, str]]) -> Api:
    there, live = Api(configs), deployment()
    live["spec"]["selector"]["matchLabels"] = labels
    live["spec"]["template"]["spec"] = {"volumes": [{"configMap": {"name": "used"}}]}
    await keep(there, "shop", selector(live), live, [live])  # type: ignore[arg-type]
    return there


async def test_what_none_names_goes_and_the_rest_is_the_owners() -> None:
    mine = {"anytier.dev/workload": "web", KEPT_FOR: "web"}
    there = await kept(
        {"anytier.dev/workload": "web"},
        {
            "used": mine,
            "old": mine,
            "of-another": {"anytier.dev/workload": "web-2", KEPT_FOR: "web-2"},
            "of-a-job": {"anytier.dev/job": "web", KEPT_FOR: "web"},
            "made-by-hand": {"anytier.dev/workload": "web"},
        },
    )
    assert set(there.configs) == {"used", "of-another", "of-a-job", "made-by-hand"}
    assert there.owned == {"used": "uid-web"}


async def test_what_an_earlier_version_left_of_a_router_goes_too() -> None:
    mine = {"anytier.dev/router": "anytier-router"}
    left = {"old": {**mine, KEPT_FOR: "router.config"}, "older": {**mine, KEPT_FOR: "certificate.c"}}
    there = await kept(mine, {"used": {**mine, KEPT_FOR: "anytier-router"}, **left})
    assert set(there.configs) == {"used"}
