"""Importing and exporting whole galleries."""
