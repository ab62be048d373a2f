"""`python -m anytier.provider` and the console script `pulumi-resource-anytier`: the plugin as the engine starts it."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    if "--version" in sys.argv[1:]:
        from anytier import __version__

        print(__version__)
        return
    gc.disable()
    from anytier.provider.protocol import import_alone

    import_alone()
    from anytier.provider.serve import main as serve

    gc.freeze()  # what was imported stays, so no collection ever need look at it
    gc.enable()
    serve(sys.argv[1:])


if __name__ == "__main__":
    main()
