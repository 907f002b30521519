"""Import and export of whole galleries."""
