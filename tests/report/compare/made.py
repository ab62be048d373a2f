"""Subjects and comparisons for tests: plain ones by hand, and hostile ones by Hypothesis."""

from __future__ import annotations

import datetime
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from tests.report.plan.graphs import HOSTILE, node

from anytier.measure.record import Machine, Measurement, figure
from anytier.report.compare.model import Cell, Column, Comparison, Row, Source
from anytier.report.compare.rows import compared
from anytier.report.compare.subject import Subject
from anytier.report.plan.graph import Graph, Node, graph_of
from anytier.spec import App, load

DAY = datetime.date(2026, 11, 28)
ROOT = Path(__file__).parents[3]
GUESTBOOK = ROOT / "apps" / "guestbook" / "app.yaml"

EKS_COSTS: dict[str, Any] = {
    "region": "eu-central-1",
    "controlPlanes": 1,
    "mode": "standard",
    "nodes": [{"pool": "main", "types": ["m6i.large"], "min": 2, "max": 4, "spot": False, "diskGiB": 50}],
    "natGateways": 1,
    "interfaceEndpoints": 0,
}


def app(tier: str) -> App:
    return load(GUESTBOOK, tier)


def graph(*nodes: Node, costs: Any = None) -> Graph:
    return graph_of("project", "dev", nodes, {} if costs is None else {"costs": costs})


def eks(**more: Any) -> Subject:
    cluster = node("aws:eks/cluster:Cluster", "cluster", {"version": "1.35"})
    balancer = node("kubernetes:core/v1:Service", "router", {"spec": {"type": "LoadBalancer"}})
    given = {"stack": "eks", "tier": "eks", "mode": "standard", "app": app("eks")}
    return Subject(**{**given, "graph": graph(cluster, balancer, costs=EKS_COSTS), **more})


def kubeadm(**more: Any) -> Subject:
    machines = [node("anytier:host:Machine", f"m{number}") for number in range(3)]
    nodes = [*machines, node("anytier:kubeadm:ControlPlane", "plane"), node("anytier:kubeadm:Worker", "w1")]
    given = {"stack": "kubeadm", "tier": "kubeadm", "app": app("kubeadm"), "graph": graph(*nodes)}
    return Subject(**{**given, **more})


def measurement(stack: str = "kubeadm", cores: int = 2, **figures: float) -> Measurement:
    return Measurement(
        stack=stack,
        tier=stack,
        date=datetime.datetime(2026, 11, 28, 20, tzinfo=datetime.UTC),
        machine=Machine(cores=cores, memory=24000, kernel="6.18", cpu="AMD EPYC"),
        figures={name: figure([value], "s") for name, value in figures.items()},
    )


def both(**more: Any) -> Comparison:
    return compared([kubeadm(measurement=measurement(deploy=12.5, noop=1.2)), eks()], DAY, **more)


class Hostile(Comparison):
    """Hypothesis writes out what it gives, and a comparison is long."""

    def __repr__(self) -> str:
        return f"a comparison of {self.columns!r}"[:2000]


@cache
def usual() -> Comparison:
    """`both`, made once: it is what hostile ones are made of."""
    return both()


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    """A real one in which every text that can be somebody's means harm, and cells say any figure."""
    found = usual()
    sources = st.builds(
        Source,
        name=HOSTILE,
        url=st.none() | HOSTILE | st.sampled_from(["javascript:alert(1)", "https://example.org/?a=1&b=\"'<"]),
        date=st.none() | st.just(DAY),
    )
    numbers = st.none() | st.floats(min_value=0, max_value=1e12, allow_nan=False)
    cells = st.builds(
        Cell,
        text=HOSTILE,
        known=st.booleans(),
        value=numbers,
        unit=st.sampled_from(["", "USD", "s"]) | HOSTILE,
        by=st.sampled_from([None, "you", "shared", "provider", "automatic", "none"]),
        meets=st.none() | st.booleans(),
        note=st.just("") | HOSTILE,
        detail=st.lists(HOSTILE, max_size=2).map(tuple),
        sources=st.lists(sources, max_size=2).map(tuple),
    )
    rows = list(found.rows)
    changed = {key: draw(cells) for key in draw(st.lists(st.sampled_from(rows), max_size=6, unique=True))}

    def mixed(row: Row) -> Row:
        return row.model_copy(update={"cells": (changed[row.key], row.cells[1])}) if row.key in changed else row

    sections = tuple(item.model_copy(update={"rows": tuple(map(mixed, item.rows))}) for item in found.sections)
    column = Column(
        stack=draw(HOSTILE),
        tier="kubeadm",
        mode=draw(st.none() | HOSTILE),
        app=draw(HOSTILE),
        errors=tuple(draw(st.lists(HOSTILE, max_size=2))),
    )
    return Hostile(made=found.made, columns=(column, found.columns[1]), sections=sections)
