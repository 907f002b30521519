"""One report of all benchmarks, compared with the last release, as a page and as a part of the docs."""
