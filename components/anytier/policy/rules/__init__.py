"""The rules, one file a part of the baseline; each has a tuple `RULES`."""
