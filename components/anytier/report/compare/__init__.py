"""Tiers beside each other for one app: rows whose every figure names its source. No engine, no credentials."""
