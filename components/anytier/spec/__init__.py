"""The app spec: what an app is, whatever place it runs on. The names below are what other packages use.

Pure: reads files, and knows neither Pulumi nor any place.
"""

from __future__ import annotations

from anytier.spec.model import App, Workload

__all__ = ["App", "Workload"]
