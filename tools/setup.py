#!/usr/bin/env python3
"""Makes a clone ready: the virtual environment, the Pulumi engine, the place for state. `make` calls it.

Runs on a bare machine: standard library only, and whatever is there already costs nothing the second time.

    usage: tools/setup.py [--stack STACK] [--extra EXTRA] [--no-engine] [--engine path|release|modules]
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.exit(
        "anytier needs Python 3.11 or newer; this is %d.%d.\n"
        "  Install one (Debian 12 and Ubuntu 24.04 have it: apt-get install python3 python3-venv),\n"
        "  then: make up PYTHON=/path/to/python3.11" % sys.version_info[:2]
    )

from bootstrap.main import main

sys.exit(main(sys.argv[1:]))
