"""The command line: ``python -m notary_auth`` or ``notary-auth``."""

import sys

from ._cli import main

if __name__ == "__main__":
    sys.exit(main())
