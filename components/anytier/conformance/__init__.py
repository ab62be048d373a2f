"""The conformance suite: one app, one list of checks, every tier. A new tier adds a place, not a check."""
