"""`python -m vitreous` and `torchrun -m vitreous`: the command line."""

import sys

from vitreous.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
