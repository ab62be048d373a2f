"""Edits of a proxy's pools: pure functions from one config to the next, the same for hosts and Docker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from anytier.render.proxy import HealthCheck, Pool, ProxyConfig, Upstream

Dials = Mapping[str, Sequence[str]]  # pool -> where its instances listen


def with_upstreams(config: ProxyConfig, dials: Dials) -> ProxyConfig:
    """Each pool's `dials` take traffic; others of the pool stay as they are."""
    return _edit(config, dials, lambda known, mine: [*_without(known, mine), *[Upstream(dial=dial) for dial in mine]])


def draining(config: ProxyConfig, dials: Dials) -> ProxyConfig:
    """Those of `dials` that the pool has get nothing new and are still counted."""
    return _edit(config, dials, lambda known, mine: [_drained(item) if item.dial in mine else item for item in known])


def without_serving(config: ProxyConfig, dials: Dials) -> ProxyConfig:
    """Those of `dials` that still take traffic take none. One that drains is in nobody's way and may stay a while."""
    return _edit(config, dials, lambda known, mine: [item for item in known if item.draining or item.dial not in mine])


def only(config: ProxyConfig, dials: Dials) -> ProxyConfig:
    """The pools hold no upstream but `dials`."""
    return _edit(config, dials, lambda known, mine: [item for item in known if item.dial in mine])


def with_health(config: ProxyConfig, checks: Mapping[str, HealthCheck | None]) -> ProxyConfig:
    """The pools are checked as their instances' revision says."""
    pools = dict(config.pools)
    for key, check in checks.items():
        pools[key] = pools.get(key, Pool()).model_copy(update={"health": check})
    return config.model_copy(update={"pools": pools})


def merged(wanted: ProxyConfig, running: ProxyConfig) -> ProxyConfig:
    """The wanted listeners, routes and pools, filled with what the workloads have put in."""
    pools = {key: running.pools.get(key, pool) for key, pool in wanted.pools.items()}
    return wanted.model_copy(update={"pools": pools})


def bare(config: ProxyConfig) -> ProxyConfig:
    """With empty pools: what the stack's program says of the proxy.

    A pool that no route names and that nobody feeds was a workload's that has gone after its routes: it is no drift.
    """
    named = {route.pool for route in config.routes}
    pools = {key: Pool() for key, pool in config.pools.items() if key in named or pool.upstreams}
    return config.model_copy(update={"pools": pools})


def inside(config: ProxyConfig) -> ProxyConfig:
    """For a machine that takes no requests from outside: what is called on the machine itself, nothing else."""
    listeners = {name: item for name, item in config.listeners.items() if item.address.startswith("127.0.0.1:")}
    routes = [route for route in config.routes if route.listener in listeners]
    return config.model_copy(update={"listeners": listeners, "routes": routes})


def _edit(
    config: ProxyConfig, dials: Dials, change: Callable[[list[Upstream], Sequence[str]], list[Upstream]]
) -> ProxyConfig:
    """A pool of which the program has not told the proxy yet is made: the order of resources must not matter."""
    pools = dict(config.pools)
    for key, mine in dials.items():
        pool = pools.get(key, Pool())
        pools[key] = pool.model_copy(update={"upstreams": change(pool.upstreams, mine)})
    return config.model_copy(update={"pools": pools})


def _without(known: list[Upstream], mine: Sequence[str]) -> list[Upstream]:
    return [item for item in known if item.dial not in mine]


def _drained(upstream: Upstream) -> Upstream:
    return upstream.model_copy(update={"draining": True})
