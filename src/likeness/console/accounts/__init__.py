"""The accounts of the people who use the console, and their visits."""
