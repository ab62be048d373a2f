"""Three components that put an app on a place: host, docker, kubernetes. They accept places, never tiers."""
