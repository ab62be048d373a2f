"""The Pulumi program: one app spec onto the place that the stack names."""

from anytier import program

stack = program.load()
program.check(stack)
program.deploy(stack)
