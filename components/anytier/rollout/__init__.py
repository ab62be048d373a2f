"""How one revision of a workload replaces another, thought through once for every runtime.

Imports the standard library and errors only: places are reached through the Driver that a caller hands in.
"""
