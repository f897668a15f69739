"""`python -m safety_regions` is the command `safety-regions`."""

from safety_regions.cli import main

main()
