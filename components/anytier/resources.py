"""The program's side of the provider's resources: one class, since inputs are rendered and checked elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi
from anytier import planning


class Resource(pulumi.CustomResource):
    """A resource of the `anytier` plugin. `outputs` become attributes through `output(name)`, unknown in preview."""

    def __init__(
        self,
        token: str,
        name: str,
        props: Mapping[str, Any],
        outputs: Iterable[str] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        given = {key: value for key, value in props.items() if value is not None}
        super().__init__(f"anytier:{token}", name, {**dict.fromkeys(outputs), **given}, opts)

    def output(self, name: str) -> pulumi.Output[Any]:
        value: pulumi.Output[Any] = pulumi.get(self, name)
        return value


def owned_by(words: str, name: str, opts: pulumi.ResourceOptions) -> pulumi.Input[str]:
    """`words#token`: who deploys from where, and the token in the stack's state. Whoever holds the state is the owner,
    and the words are for people (`provider.owner`). A plan has the words alone."""
    made = Resource("index:Identity", f"{name}-identity", {}, ("token",), opts)
    return words if planning.active() else pulumi.Output.concat(words, "#", made.output("token"))
