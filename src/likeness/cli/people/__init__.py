"""Commands for the people who use the console."""
