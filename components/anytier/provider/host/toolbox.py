"""The standard-library programs that anytier keeps on a machine: putting them there, and asking tool.py things."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from anytier.errors import Rejected
from anytier.provider.host.layout import Layout
from anytier.provider.host.transport import Facts, File, Machine

_LIB = ("launch.py", "contain.py", "tool.py", "healthd.py")


async def tool(machine: Machine, layout: Layout, facts: Facts, verb: str, asked: object) -> Any:
    """Runs a verb of tool.py on the machine."""
    path = layout.tool
    if path not in await machine.read([path]):
        await install(machine, layout)
    result = await machine.run(
        [facts.python, "-I", "-S", path, verb], json.dumps(asked).encode(), env={"LANG": "C.UTF-8"}
    )
    if result.code != 0:
        raise Rejected(f"tool {verb}", (result.err.strip() or f"exit {result.code}").splitlines()[-1], "run again")
    return json.loads(result.out)


async def install(machine: Machine, layout: Layout) -> None:
    """Copies the standard-library programs to the machine; an upgrade of anytier renews them."""
    source = resources.files("anytier.provider.host")
    wanted = {f"{layout.lib}/{name}": (source / name).read_bytes() for name in _LIB}
    known = await machine.read(list(wanted))
    folders = [File(layout.root, None, None), File(layout.lib, None, 0o755)]
    await machine.put(folders + [File(path, data) for path, data in wanted.items() if known.get(path) != data])
