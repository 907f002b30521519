"""The audit trail: who did what, when, to which id. Chained, signed, and kept for a set time."""
