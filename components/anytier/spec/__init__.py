"""The app spec: what an app is, whatever place it runs on. The names below are what other packages use.

Pure: reads files, and knows neither Pulumi nor any place.
"""

from __future__ import annotations

from anytier.spec.diagnostic import Diagnostic
from anytier.spec.load import diagnose, diagnose_bytes, load, locate
from anytier.spec.model import App, Container, Job, Workload
from anytier.spec.overrides import for_tier
from anytier.spec.placeholders import references, resolve

__all__ = [
    "App",
    "Container",
    "Diagnostic",
    "Job",
    "Workload",
    "diagnose",
    "diagnose_bytes",
    "for_tier",
    "load",
    "locate",
    "references",
    "resolve",
]
