"""The command line of `benchmarks.tables`."""

import sys

from benchmarks.tables import pages

sys.exit(pages.main())
