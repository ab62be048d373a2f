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
    """The installed package's version; a source tree that is not installed is a development one."""
    from importlib import metadata

    try:
        return metadata.version("anytier")
    except metadata.PackageNotFoundError:
        return "0.0.0-dev"


if __name__ == "__main__":
    main()
