"""What anytier must know of a distribution. Plain data, and what its package manager is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from anytier.errors import AnytierError
from anytier.packages import Package
from anytier.provider.host.transport import Machine


@dataclass(frozen=True)
class Installed:
    """What an installation did, also where it then failed: every package it `added`, and the units of those that it
    `disabled`. `problem`: why it did not come to its end."""

    added: list[str]
    disabled: list[str]
    problem: AnytierError | None = None


class PackageManager(Protocol):
    """Everything may raise AnytierError. `asked`: package -> the path in the spec that asks for it."""

    async def installed(self, machine: Machine, names: Sequence[str]) -> dict[str, str]:
        """The version of each that is installed, in one round trip."""

    async def install(
        self,
        machine: Machine,
        asked: Mapping[Package, str],
        downgrades: bool,
        told: Callable[[str], None],
        hold: Sequence[str] = (),
    ) -> Installed:
        """Installs these as root, and starts nothing of theirs. `told` hears what is waited for. `hold`: packages that
        an upgrade of the machine leaves from then on, as far as they are there."""

    async def remove(self, machine: Machine, names: Sequence[str], told: Callable[[str], None]) -> list[str]:
        """Removes these with their configuration, held or not. What else needs one of them, and then nothing went."""


@dataclass(frozen=True)
class Distribution:
    """`oldest`: the first version whose systemd and Python do all that is asked of them."""

    name: str
    oldest: tuple[int, ...]
    packages: PackageManager
