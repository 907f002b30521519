"""An evaluation for readers: numbers, plots, one page."""
