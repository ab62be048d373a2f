"""Kubernetes: what pulumi-kubernetes leaves to us: rollouts that are watched and taken back, jobs, looking at pods."""
