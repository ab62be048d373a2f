"""The JSON Schema of the spec, generated from the model; `app.schema.json` beside this file is what editors load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from anytier.spec.model import App

FILE = Path(__file__).with_name("app.schema.json")


def schema() -> dict[str, Any]:
    """Draft 2020-12, for anytier's own files; Score's files have Score's schema."""
    body = App.model_json_schema(by_alias=True)
    body["required"] = ["apiVersion", "kind", "metadata", "workloads"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://anytier.dev/app.schema.json",
        **body,
        "title": "anytier app",
    }


def text() -> str:
    return json.dumps(schema(), indent=1, sort_keys=False) + "\n"
