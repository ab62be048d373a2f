"""The conformance suite: one app, one list of checks, every tier. Adding a tier adds a place to `places`, not a check."""
