"""Debian: systemd 247 and Python 3.9 came with 11; tested on 12."""

from __future__ import annotations

from anytier.provider.host.distributions.apt import APT
from anytier.provider.host.distributions.base import Distribution

DEBIAN = Distribution("Debian", (11,), APT)
