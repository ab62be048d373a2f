"""What tests on a hypervisor share: a context that keeps what a user would see, and somebody else at work there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.provider.sink import Sink

from anytier.provider.libvirt.connection import Hypervisor, There
from anytier.provider.resource import Context


class Ground:
    def __init__(self, there: There) -> None:
        self.there = there
        self.host: Hypervisor = there.host
        self.sink = Sink()

    def context(self, urn: str = "urn:pulumi:t::t::t::t") -> Context:
        return Context(urn, "t", self.sink)

    async def raw(self, work: Callable[[Any], Any]) -> Any:
        """Somebody else, by libvirt directly."""
        return await self.there.call("test", work)

    @staticmethod
    def without_hypervisor() -> Context:
        return Context("urn:pulumi:t::t::t::t", "t", Sink())
