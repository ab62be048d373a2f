"""Every verb of `anytier`: its module and its line of help. The one list; help, completion and tests read it.

A verb's module has `configure(parser) -> None` and `run(args) -> int` (the exit code), and is imported only when that
verb is called. It imports nothing but argparse and small modules of this package at its top.
"""

from __future__ import annotations

VERBS: dict[str, tuple[str, str]] = {
    "up": ("anytier.cli.up", "deploy a stack and say where it serves"),
    "down": ("anytier.cli.down", "destroy what a stack deployed"),
    "status": ("anytier.cli.status", "what runs, in which revision, how healthy"),
    "logs": ("anytier.cli.logs", "what the instances print"),
    "exec": ("anytier.cli.exec", "run a command inside an instance"),
    "scale": ("anytier.cli.scale", "set how many replicas a stack runs"),
    "rollback": ("anytier.cli.rollback", "put an earlier revision back"),
    "cluster": ("anytier.cli.cluster", "the cluster that a stack made: its health, its kubeconfig"),
    "init": ("anytier.cli.init", "write a first app spec and its stack"),
    "validate": ("anytier.cli.validate", "find every mistake in app specs"),
    "schema": ("anytier.cli.schema", "the JSON Schema of the app spec"),
    "matrix": ("anytier.cli.matrix", "what each tier does with each field of the spec"),
    "plan": ("anytier.cli.plan", "what a stack would make, and what a change would do, without credentials"),
    "preview": ("anytier.cli.preview", "what a change does to every stack, in one comment"),
    "compare": ("anytier.cli.compare", "stacks side by side: what they ask of you, carry, cost and take"),
    "render": ("anytier.cli.render", "the Kubernetes objects of a stack's app, as YAML"),
    "policy": ("anytier.cli.policy", "the rules of the security baseline, which the policy pack holds"),
    "doctor": ("anytier.cli.doctor", "what this machine has and lacks, and the command that mends it"),
    "bundle": ("anytier.cli.bundle", "all software of a Kubernetes cluster in one folder"),
    "conformance": ("anytier.cli.conformance", "prove that a tier keeps its promises"),
    "measure": ("anytier.cli.measure", "time a stack's place, and keep the figures"),
    "completion": ("anytier.cli.completion", "completion for bash or zsh"),
}
