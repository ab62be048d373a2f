"""anytier: one declarative app spec, the same app on every tier.

Nothing is imported here on purpose: `anytier --help` must not pay for Pulumi, pydantic or a cloud SDK.
"""

__version__ = "0.1.0"
