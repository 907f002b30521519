"""One report of all benchmarks: run, compared with the last release, drawn, and told on a page."""
