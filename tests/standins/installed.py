"""Which of the clouds' SDKs are installed: they are extras, and most of this project's tests do without."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

PACKAGES = {"aws": "pulumi_aws", "gcp": "pulumi_gcp", "azure-native": "pulumi_azure_native"}
MISSING = [package for package in PACKAGES.values() if find_spec(package) is None]
needs_sdks = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (extras eks, gke, aks)")
