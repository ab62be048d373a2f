"""Which of the clouds' SDKs are installed: they are extras, and most of this project's tests do without."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

PACKAGES = {"aws": "pulumi_aws", "gcp": "pulumi_gcp", "azure-native": "pulumi_azure_native"}
MISSING = [package for package in PACKAGES.values() if find_spec(package) is None]
needs_sdks = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (extras eks, gke, aks)")


def sdks() -> list[str]:
    """The folder that has them, for PYTHONPATH of what a test starts: none where they are installed. It is on no other
    test's, since an engine that sees them looks for their plugins in every run."""
    return [folder] if (folder := os.environ.get("ANYTIER_CLOUDS")) else []
