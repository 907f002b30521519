"""Templates to nearest neighbours: exact, in memory, disposable. No web, no database."""
