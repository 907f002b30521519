"""``python -m likeness``."""

from likeness.cli import main

main()
