"""Persons who are enrolled more than once."""
