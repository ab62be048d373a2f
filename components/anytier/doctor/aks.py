"""What tier `aks` needs here: the packages, somebody to be at Azure, and the command that gets tokens of Entra's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from anytier.doctor.check import Finding, Subject, missing, of_error, ok
from anytier.doctor.machine import install, installed


def packages(subject: Subject) -> Iterator[Finding]:
    wanted = {"pulumi-azure-native": "pulumi_azure_native", "lightkube": "lightkube"}
    yield installed(wanted, install(subject, "aks"))


def login(subject: Subject) -> Iterator[Finding]:
    """Whether there is anybody; whether Azure takes it is seen by whoever tries."""
    from anytier.cli.stack import stack_config
    from anytier.tiers.aksfacts import CREDENTIALS

    given = stack_config(subject.stack) if subject.stack else {}
    nobody = CREDENTIALS.missing(os.environ, Path.home(), given, "azure")
    yield of_error("login", nobody) if nobody else ok("login", "somebody is logged in to Azure")


def kubelogin(subject: Subject) -> Iterator[Finding]:
    found = shutil.which("kubelogin")
    if found is None:
        what = "kubelogin is not on PATH: neither the stack nor kubectl would get into the cluster"
        yield missing("kubelogin", what, "az aks install-cli, or see https://azure.github.io/kubelogin")
    else:
        yield ok("kubelogin", found)
