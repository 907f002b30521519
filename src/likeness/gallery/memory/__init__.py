"""The galleries in memory that searches read: one for each tenant."""
