"""Google Cloud, as far as tier `gke` sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tests.standins.clouds.base import Answer, Cloud, Holder, Refused, Scene, Tree, certificate, endpoint, short
from tests.standins.invent import digest
from tests.standins.world import Thing

NUMBER = "123456789012"
VERSIONS = ("1.31.9-gke.1", "1.32.6-gke.1", "1.33.4-gke.1", "1.34.1-gke.1")
CHANNELS = {"RAPID": VERSIONS[3], "REGULAR": VERSIONS[2], "STABLE": VERSIONS[1]}
IDS = {
    "compute/Network": "projects/{project}/global/networks/{name}",
    "compute/Subnetwork": "projects/{project}/regions/{region}/subnetworks/{name}",
    "compute/Router": "projects/{project}/regions/{region}/routers/{name}",
    "compute/RouterNat": "{project}/{region}/{router}/{name}",
    "compute/Firewall": "projects/{project}/global/firewalls/{name}",
    "compute/Address": "projects/{project}/regions/{region}/addresses/{name}",
    "compute/GlobalAddress": "projects/{project}/global/addresses/{name}",
    "kms/KeyRing": "projects/{project}/locations/{location}/keyRings/{name}",
    "kms/CryptoKey": "{keyRing}/cryptoKeys/{name}",
    "kms/CryptoKeyIAMMember": "{cryptoKeyId}/{role}/{member}",
    "kms/CryptoKeyIAMBinding": "{cryptoKeyId}/{role}",
    "serviceaccount/Account": "projects/{project}/serviceAccounts/{accountId}@{project}.iam.gserviceaccount.com",
    "serviceaccount/IAMMember": "{serviceAccountId}/{role}/{member}",
    "serviceaccount/IAMBinding": "{serviceAccountId}/{role}",
    "projects/IAMMember": "{project}/{role}/{member}",
    "projects/IAMBinding": "{project}/{role}",
    "projects/Service": "{project}/{service}",
    "projects/ServiceIdentity": "projects/{project}/services/{service}",
    "artifactregistry/Repository": "projects/{project}/locations/{location}/repositories/{repositoryId}",
    "container/Cluster": "projects/{project}/locations/{location}/clusters/{name}",
    "container/NodePool": "{cluster}/nodePools/{name}",
}


class Gcp(Cloud):
    name = "gcp"
    package = "pulumi_gcp"
    holders: ClassVar[Mapping[str, tuple[Holder, ...]]] = {
        "gcp:compute/network:Network": (
            Holder("gcp:compute/subnetwork:Subnetwork", "network"),
            Holder("gcp:compute/router:Router", "network"),
            Holder("gcp:compute/firewall:Firewall", "network"),
        ),
        "gcp:compute/subnetwork:Subnetwork": (Holder("gcp:container/cluster:Cluster", "subnetwork"),),
        "gcp:compute/address:Address": (Holder("gcp:compute/routerNat:RouterNat", "natIps"),),
    }

    def made_up_name(self, token: str, name: str, suffix: str) -> str:
        return f"{name}-{suffix}".lower()

    def deletes_first(self, token: str, old: Tree, new: Tree, name: str | None) -> bool:
        """As Pulumi's bridge has it: where the name was given, and so both would have it."""
        return name is not None and name in new and name not in new.get("__defaults", [name])

    def identify(self, token: str, inputs: Tree, scene: Scene, seed: str) -> str:
        values = {**_place(inputs, scene), **{key: value for key, value in inputs.items() if isinstance(value, str)}}
        if short(token) == "container/NodePool":
            values["cluster"] = _cluster_id(inputs, scene)
        return IDS[short(token)].format_map(values)

    def word(self, token: str, id: str, inputs: Tree, scene: Scene, prop: str) -> str | None:
        return {
            "id": id,
            "selfLink": f"https://www.googleapis.com/{token.split(':')[1].partition('/')[0]}/v1/{id}",
            "creationTimestamp": "2026-01-01T00:00:00.000-08:00",
            "etag": f"BwY{digest(id, length=8)}=",
            "uniqueId": digest(id, length=21),
            "gatewayAddress": "10.0.0.1",
            "operation": None,
        }.get(prop)

    def said(self, token: str, id: str, inputs: Tree, scene: Scene, seed: str) -> Tree:
        about: Tree = {key: value for key, value in _place(inputs, scene).items() if key in ("project", "region")}
        labels = {**(scene.config.get("defaultLabels") or {}), **(inputs.get("labels") or {})}
        about |= {"effectiveLabels": labels, "pulumiLabels": labels}
        kind = short(token)
        if kind == "serviceaccount/Account":
            email = id.rpartition("/")[2]
            about |= {"email": email, "name": id, "member": f"serviceAccount:{email}"}
        elif kind == "projects/ServiceIdentity":
            email = f"service-{NUMBER}@{inputs['service'].partition('.')[0]}-engine-robot.iam.gserviceaccount.com"
            about |= {"email": email, "member": f"serviceAccount:{email}"}
        elif kind == "artifactregistry/Repository":
            host = f"{_place(inputs, scene)['location']}-docker.pkg.dev"
            about |= {
                "name": inputs["repositoryId"],
                "registryUri": f"{host}/{about['project']}/{inputs['repositoryId']}",
            }
        elif kind == "container/Cluster":
            about |= _cluster(id, inputs, scene)
        elif kind == "container/NodePool":
            about |= {"version": inputs.get("version") or _version(inputs), "instanceGroupUrls": []}
            about["location"] = inputs.get("location") or _place(inputs, scene).get("region")
        elif kind in ("compute/Address", "compute/GlobalAddress"):
            about["address"] = inputs.get("address") or scene.control.get("address") or "203.0.113.20"
        return about

    def configured(self, config: Tree, control: Tree) -> list[str]:
        if control.get("credentials") is False:
            return ["google: could not find default credentials; run `gcloud auth application-default login`"]
        return []

    def may_create(self, token: str, inputs: Tree, scene: Scene) -> None:
        fields = {word[1:-1] for word in ("{project}", "{region}") if word in IDS[short(token)]}
        place = _place(inputs, scene)
        for name in sorted(fields):
            if not place.get(name):
                raise Refused(f"{name}: required field is not set")
        if short(token) == "container/NodePool" and _cluster_of(inputs, scene) is None:
            raise Refused(f"Error 404: Not found: {inputs['cluster']}., notFound")

    def may_delete(self, thing: Thing, scene: Scene) -> None:
        """What there is to delete a cluster is the provider's own: `deletionProtection` is on where nobody says so."""
        if short(thing.token) == "container/Cluster" and thing.inputs.get("deletionProtection", True):
            raise Refused("Cannot destroy cluster because deletion_protection is set to true.")
        super().may_delete(thing, scene)

    def takes_along(self, thing: Thing, scene: Scene) -> list[Thing]:
        if short(thing.token) == "compute/Router":
            nats = (other for other in scene.things if short(other.token) == "compute/RouterNat")
            return [other for other in nats if other.inputs.get("router") == thing.inputs.get("name")]
        if short(thing.token) == "container/Cluster":
            return [other for other in scene.things if other.id.startswith(f"{thing.id}/nodePools/")]
        return []

    def stays(self, token: str) -> bool:
        """Key rings and keys are never gone: only the state forgets them."""
        return short(token) in ("kms/KeyRing", "kms/CryptoKey")

    def answers(self) -> Mapping[str, Answer]:
        return ANSWERS


def _place(inputs: Tree, scene: Scene) -> dict[str, str]:
    """Project, region and location of a thing, as far as they are said."""
    config = scene.config
    project, region = inputs.get("project") or config.get("project"), inputs.get("region") or config.get("region")
    location = inputs.get("location") or config.get("zone") or region
    found = {"project": project, "region": region, "location": location}
    return {key: str(value) for key, value in found.items() if value}


def _cluster_of(inputs: Tree, scene: Scene) -> Thing | None:
    clusters = [thing for thing in scene.things if short(thing.token) == "container/Cluster"]
    said = str(inputs.get("cluster"))
    return next((thing for thing in clusters if said in (thing.id, thing.id.rpartition("/")[2])), None)


def _cluster_id(inputs: Tree, scene: Scene) -> str:
    found = _cluster_of(inputs, scene)
    return found.id if found else str(inputs.get("cluster"))


def _version(inputs: Tree) -> str:
    channel = (inputs.get("releaseChannel") or {}).get("channel")
    asked = str(inputs.get("minMasterVersion") or "")
    return next((v for v in VERSIONS if asked and v.startswith(asked)), None) or CHANNELS.get(str(channel), VERSIONS[2])


def _cluster(id: str, inputs: Tree, scene: Scene) -> Tree:
    name, place = id.rpartition("/")[2], _place(inputs, scene)
    about = scene.cluster(name)
    project = place["project"]
    return {
        "location": place["location"],
        "endpoint": endpoint(about, "203.0.113.30").removeprefix("https://"),
        "masterAuth": {"clusterCaCertificate": certificate(about), "clientCertificate": "", "clientKey": ""},
        "masterVersion": _version(inputs),
        "nodeVersion": _version(inputs),
        "workloadIdentityConfig": inputs.get("workloadIdentityConfig")
        or ({"workloadPool": f"{project}.svc.id.goog"} if inputs.get("enableAutopilot") else None),
        "controlPlaneEndpointsConfig": {
            "dnsEndpointConfig": {"endpoint": f"gke-{digest(id, length=12)}.{place['location']}.gke.goog"}
        },
        "privateClusterConfig": {"privateEndpoint": "10.0.0.2", "publicEndpoint": "203.0.113.30"},
        "servicesIpv4Cidr": "10.4.0.0/20",
    }


# functions


def _client(args: Tree, scene: Scene) -> Tree:
    said = {key: str(scene.config.get(key) or "") for key in ("project", "region", "zone")}
    return {"id": "client", "accessToken": f"ya29.{digest('token', length=40)}", "defaultLabels": {}, **said}


def _project(args: Tree, scene: Scene) -> Tree:
    name = args.get("projectId") or _place({}, scene).get("project", "")
    return {"id": f"projects/{name}", "projectId": name, "name": name, "number": NUMBER, "labels": {}}


def _zones(args: Tree, scene: Scene) -> Tree:
    place = _place(args, scene)
    names = [f"{place['region']}-{letter}" for letter in "abc"]
    return {"id": place["region"], "names": names, "region": place["region"], "project": place.get("project")}


def _engine_versions(args: Tree, scene: Scene) -> Tree:
    found = [version for version in reversed(VERSIONS) if version.startswith(args.get("versionPrefix") or "")]
    latest = found[0] if found else ""
    return {
        **args,
        "id": "versions",
        "validMasterVersions": found,
        "validNodeVersions": found,
        "latestMasterVersion": latest,
        "latestNodeVersion": latest,
        "defaultClusterVersion": CHANNELS["REGULAR"],
        "releaseChannelDefaultVersion": CHANNELS,
        "releaseChannelLatestVersion": CHANNELS,
        "project": _place(args, scene).get("project"),
    }


def _default_account(args: Tree, scene: Scene) -> Tree:
    email = f"{NUMBER}-compute@developer.gserviceaccount.com"
    return {
        "id": email,
        "email": email,
        "member": f"serviceAccount:{email}",
        "project": _place(args, scene).get("project"),
    }


ANSWERS: dict[str, Answer] = {
    "gcp:organizations/getClientConfig:getClientConfig": _client,
    "gcp:organizations/getProject:getProject": _project,
    "gcp:compute/getZones:getZones": _zones,
    "gcp:container/getEngineVersions:getEngineVersions": _engine_versions,
    "gcp:compute/getDefaultServiceAccount:getDefaultServiceAccount": _default_account,
}
