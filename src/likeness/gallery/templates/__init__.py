"""Templates at rest: sealed, and packed into blocks."""
