"""Names that more than one part must agree on. Imports nothing."""

from __future__ import annotations

# Rollback is one command, not a state of the stack: it reaches the program by the environment and is gone afterwards.
ROLLBACK_ENV = "ANYTIER_ROLLBACK"
# That an update follows a refresh, in the same run: what does not answer then need not stop it (`provider.handler`).
UP_ENV = "ANYTIER_UP"
# The plugin's one function. It does nothing: to ask for it is to have the plugin started.
READY = "anytier:index:ready"


def namespace(stack: str, app: str) -> str:
    """The prefix of everything that belongs to one app of one stack at a place."""
    return f"anytier-{stack}-{app}"
