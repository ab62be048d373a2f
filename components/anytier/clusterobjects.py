"""The program's side of Kubernetes objects: plain data becomes resources of pulumi-kubernetes.

An object's own `apiVersion` and `kind` are its resource's token, so that custom resources are no special case. Of the
SDK the provider is taken; the thousand modules of its kinds are not loaded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pulumi

if TYPE_CHECKING:
    from pulumi_kubernetes import Provider

PLUGIN_VERSION = "4.25.0"
SKIP_AWAIT = "pulumi.com/skipAwait"


def cluster_provider(
    name: str,
    kubeconfig: Any,
    *,
    forget: bool = False,
    identity: Any = None,
    answer: float | None = None,
    opts: pulumi.ResourceOptions | None = None,
) -> Provider:
    """The plugin, on one cluster. `kubeconfig` is its text. `forget`: what is on a cluster that does not answer may be
    taken out of the state; without it that is an error. `identity` says which cluster it is: another one has nothing
    of what is on this one, and all is made there anew; without, the plugin compares addresses. `answer`: seconds that
    the API server may take for one answer; 32, the plugin's own, if not said."""
    from pulumi_kubernetes import KubeClientSettingsArgs, Provider  # by a stack on a cluster only

    return Provider(
        name,
        kubeconfig=pulumi.Output.secret(kubeconfig),
        enable_server_side_apply=True,
        suppress_helm_hook_warnings=True,
        delete_unreachable=True if forget else None,
        cluster_identifier=identity,
        kube_client_settings=None if answer is None else KubeClientSettingsArgs(timeout=math.ceil(answer)),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(version=PLUGIN_VERSION)),
    )


def token(object: Mapping[str, Any]) -> str:
    """`kubernetes:apps/v1:Deployment`; the core group, which has no name of its own, is called `core`."""
    version = str(object["apiVersion"])
    return f"kubernetes:{version if '/' in version else f'core/{version}'}:{object['kind']}"


class KubernetesObject(pulumi.CustomResource):
    """One object on one cluster. `output(name)` of what the API server made of it: `metadata`, `spec`, `status`."""

    def __init__(self, name: str, object: Mapping[str, Any], opts: pulumi.ResourceOptions, *, wait: bool) -> None:
        given = dict(object) if wait else unawaited(object)
        sealed = ["data", "stringData"] if object["kind"] == "Secret" and object["apiVersion"] == "v1" else []
        pinned = pulumi.ResourceOptions(version=PLUGIN_VERSION, additional_secret_outputs=sealed)
        super().__init__(token(object), name, given, pulumi.ResourceOptions.merge(opts, pinned))

    def output(self, name: str) -> pulumi.Output[Any]:
        value: pulumi.Output[Any] = pulumi.get(self, name)
        return value


def register(
    objects: Iterable[tuple[str, Mapping[str, Any], tuple[str, ...]]],
    provider: pulumi.ProviderResource,
    parent: pulumi.Resource,
    *,
    after: Iterable[pulumi.Resource] = (),
    opts: pulumi.ResourceOptions | None = None,
    wait: Iterable[str] = (),
) -> dict[str, KubernetesObject]:
    """Each object as (key, object, keys that must be there first), in any order that has these first.

    Nothing is waited for but that the API server has taken it, save for the keys in `wait`. `after` is before all.
    """
    made: dict[str, KubernetesObject] = {}
    awaited, first = set(wait), list(after)
    for key, object, needed in objects:
        depends = [*first, *(made[other] for other in needed)]
        own = pulumi.ResourceOptions(parent=parent, provider=provider, depends_on=depends)
        made[key] = KubernetesObject(key, object, pulumi.ResourceOptions.merge(opts, own), wait=key in awaited)
    return made


def unawaited(object: Mapping[str, Any]) -> dict[str, Any]:
    """The same, and its resource is done as soon as the API server has taken it."""
    metadata = dict(object.get("metadata") or {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), SKIP_AWAIT: "true"}
    return {**object, "metadata": metadata}
