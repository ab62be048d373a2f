"""`${secrets.NAME}` in a template's strings, put in at the last moment. Pure.

The form is that of `spec.placeholders`: of a run of dollars before a `{`, each pair is one literal dollar, and a last
odd one opens a placeholder. So `$${` stands for a literal `${`, and `$$${secrets.x}` for a dollar and the secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from anytier.errors import SpecError

_TOKEN = re.compile(r"(\$+)\{(?:secrets\.([^{}]*)\})?")
_RUN = re.compile(r"\$+(?=\{)")


def names(text: str) -> set[str]:
    """The secrets that a text names."""
    return {match[2] for match in _TOKEN.finditer(text) if match[2] and len(match[1]) % 2}


def substitute(text: str, secrets: Mapping[str, str]) -> str:
    """The text as the app sees it. SpecError names a secret that has no value."""

    def replace(match: re.Match[str]) -> str:
        dollars = "$" * (len(match[1]) // 2)
        rest = match[0][len(match[1]) :]
        if len(match[1]) % 2 == 0:
            return dollars + rest
        if match[2] is None:
            return f"{dollars}${rest}"
        if match[2] not in secrets:
            raise SpecError(f"secrets.{match[2]}", "is named by the template but has no value", "add it to secrets")
        return dollars + secrets[match[2]]

    return _TOKEN.sub(replace, text)


def escape(text: str) -> str:
    """The text that stands for `text` itself."""
    return _RUN.sub(lambda run: run[0] * 2, text)
