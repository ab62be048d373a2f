"""`python -m anytier.provider` and the console script `pulumi-resource-anytier`: the plugin as the engine starts it."""

from __future__ import annotations

import sys


def main() -> None:
    if "--version" in sys.argv[1:]:
        print(version())
        return
    from anytier.provider.protocol import import_alone

    import_alone()
    from anytier.provider.serve import main as serve

    serve(sys.argv[1:], version)


def version() -> str:
    from anytier import __version__

    return __version__


if __name__ == "__main__":
    main()
