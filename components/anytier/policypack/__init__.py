"""The policy pack as the engine runs it: `pulumi preview --policy-pack policy`. The rules are in `anytier.policy`."""
