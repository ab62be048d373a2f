"""What the tiers of managed clusters need here: packages, somebody to be at the cloud, the command that gets tokens."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from anytier.doctor.check import Finding, Subject, missing, of_error, ok
from anytier.doctor.machine import install, installed


@dataclass(frozen=True)
class Needs:
    """`sdk`: a distribution and its module. `credentials`: the module that has CREDENTIALS. `command`: it gets a token
    for the cluster, for the stack's own objects and for kubectl; `mend` brings it."""

    sdk: tuple[str, str]
    credentials: str
    config: str
    command: str
    mend: str
    also: tuple[tuple[str, str], ...] = ()  # further commands, each with what brings it


NEEDS = {
    "eks": Needs(
        ("pulumi-aws", "pulumi_aws"),
        "anytier.tiers.eksargs",
        "aws",
        "aws",
        "install the AWS CLI: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
    ),
    "gke": Needs(
        ("pulumi-gcp", "pulumi_gcp"),
        "anytier.tiers.gkeplan",
        "gcp",
        "gke-gcloud-auth-plugin",
        "gcloud components install gke-gcloud-auth-plugin",
    ),
    "aks": Needs(
        ("pulumi-azure-native", "pulumi_azure_native"),
        "anytier.tiers.aksfacts",
        "azure",
        "kubelogin",
        "az aks install-cli, or see https://azure.github.io/kubelogin",
        (("az", "install the Azure CLI: https://learn.microsoft.com/cli/azure/install-azure-cli"),),
    ),
}


def packages(subject: Subject) -> Iterator[Finding]:
    name, module = NEEDS[subject.tier].sdk
    yield installed({name: module, "lightkube": "lightkube"}, install(subject, subject.tier))


def login(subject: Subject) -> Iterator[Finding]:
    """Whether there is anybody; whether the cloud takes it is seen by whoever tries."""
    from anytier.cli.stack import stack_config

    needs = NEEDS[subject.tier]
    credentials = import_module(needs.credentials).CREDENTIALS
    given = stack_config(subject.stack) if subject.stack else {}
    here = (os.environ, Path.home(), given, needs.config)
    nobody = credentials.missing(*here) or credentials.halfway(*here)
    yield of_error("login", nobody) if nobody else ok("login", f"somebody is logged in to {credentials.cloud}")


def command(subject: Subject) -> Iterator[Finding]:
    needs = NEEDS[subject.tier]
    found = shutil.which(needs.command)
    if found is None:
        what = f"{needs.command} is not on PATH: neither the stack nor kubectl would get into the cluster"
        yield missing("command", what, needs.mend)
    else:
        yield ok("command", found)
