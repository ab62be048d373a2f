"""The Pulumi program: one app spec onto the place that the stack names."""

from anytier import early

early.begin()  # before the import below, which takes its time

from anytier import program  # noqa: E402

stack = program.load()
program.check(stack)
program.deploy(stack)
