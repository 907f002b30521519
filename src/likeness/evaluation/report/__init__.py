"""The report of an evaluation: numbers, plots and one page."""
