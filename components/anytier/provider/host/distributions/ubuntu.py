"""Ubuntu: systemd 249 and Python 3.10 came with 22.04."""

from __future__ import annotations

from anytier.provider.host.distributions.apt import APT
from anytier.provider.host.distributions.base import Distribution

UBUNTU = Distribution("Ubuntu", (22, 4), APT)
