"""What is wrong with a deployment and its machine, and what to do about it: ``likeness doctor``."""
