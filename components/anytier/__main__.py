"""`python -m anytier VERB`: the same as the `anytier` command. Nothing else lives here."""

import sys

from anytier.cli.__main__ import main

sys.exit(main())
