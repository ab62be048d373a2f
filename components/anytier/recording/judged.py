"""A plan held against the policy pack, with the waivers of the stack's own config."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from anytier import config as settings
from anytier.policy.check import check
from anytier.policy.plan import resources
from anytier.policy.waivers import read
from anytier.report.plan.broken import Broken
from anytier.report.plan.graph import Graph


def judged(graph: Graph, config: Mapping[str, Any]) -> list[Broken]:
    """What is broken, the worst first; what is waived stands among it, marked as that. What is wrong with a waiver is
    told when the config is read, which is before there is a graph."""
    today = datetime.date.today()
    waivers, _ = read(settings.from_yaml(config).get("policy"), today)
    report = check(resources(graph.model_dump(mode="json", by_alias=True)), waivers, today)
    return [
        Broken(
            rule=item.rule.id,
            severity=item.rule.severity,
            mandatory=item.mandatory,
            resource=item.resource.name,
            key=item.resource.of or item.resource.key,
            path=item.path,
            what=item.what,
            do=item.rule.remedy,
            waived=item.waiver is not None,
        )
        for item in (*report.findings, *report.waived)
    ]
