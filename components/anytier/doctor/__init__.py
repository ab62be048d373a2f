"""What `anytier doctor` looks at: one check, one small function. They change nothing, and each names its own remedy."""
