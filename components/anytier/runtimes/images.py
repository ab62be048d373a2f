"""Images on machines: one resource for each that an app names, and what running them without containers asks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pulumi
from anytier.errors import SpecError
from anytier.render.template import Template
from anytier.render.traffic import is_http, service_ports, target_of
from anytier.render.workload import has_fixed_ports
from anytier.resources import Resource
from anytier.spec import App


class Images:
    """`base` gives the inputs that say where an image is needed."""

    def __init__(
        self, base: Callable[[str], Mapping[str, Any]], owner: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> None:
        self.base, self.owner, self.opts = base, owner, opts
        self.made: dict[str, Resource] = {}

    def wire(self, template: Template) -> dict[str, Any]:
        """The template with what its image's reference means, which a preview may not know yet."""
        wire = template.wire()
        if template.process is not None and template.process.image is not None:
            wire["process"]["image"]["digest"] = self._once(template.process.image.digest).output("digest")
        return wire

    def _once(self, reference: str) -> Resource:
        if reference not in self.made:
            props = {**self.base(reference), "reference": reference, "owner": self.owner}
            self.made[reference] = Resource("host:Image", reference, props, ("digest",), self.opts)
        return self.made[reference]


def refuse_taken_ports(app: App, replicas: Mapping[str, int], ours: Mapping[int, str]) -> None:
    """An image that listens on its own port shares it with nobody on the machine. `ours`: port -> who else has it."""
    taken = dict(ours)
    for name, body in app.workloads.items():
        if not has_fixed_ports(app, name, replicas[name]):
            continue
        for key in (key for key in service_ports(body) if is_http(app, name, key)):
            port = target_of(service_ports(body)[key])
            mine = f"workload {name}"
            if taken.setdefault(port, mine) != mine:
                raise SpecError(
                    f"workloads.{name}.service.ports.{key}.targetPort",
                    f"is {port}, which {taken[port]} has on this machine; an image that stops first gets it as it is",
                    "use another port, or let the image listen on PORT and set update.order: start-first",
                )
