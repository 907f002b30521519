"""Exact search for the nearest templates, in memory. An index can be rebuilt at any time. No web, no database."""
