"""The Pulumi provider plugin `anytier`: resources that put containers and processes on real places.

May import render, rollout, errors and frozen; never the spec, the tiers, the runtimes or the command line.
"""
