"""How long pods that are being stopped are waited for. Pure.

A node whose kubelet is gone never says that a pod has ended: each gets its own grace period and no more. Times are of
this side's monotonic clock, since the cluster's may be another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from anytier.provider.kubernetes.kinds import Json, meta, uid

MARGIN = 5.0  # seconds after the grace period for a kubelet to kill what is left and say so


@dataclass
class Going:
    """`since`: when a pod, by its uid, was first seen to be stopped."""

    since: dict[str, float] = field(default_factory=dict)

    def left(self, pods: Sequence[Json], now: float) -> list[Json]:
        """Those of `pods`, all of which are being stopped, that are still within their time."""
        return [pod for pod in pods if now - self.since.setdefault(uid(pod), now) <= grace(pod) + MARGIN]


def grace(pod: Json) -> float:
    """Seconds that it was given to stop, from when it was asked to."""
    return float(meta(pod).get("deletionGracePeriodSeconds") or 0)


__all__ = ["Going"]
