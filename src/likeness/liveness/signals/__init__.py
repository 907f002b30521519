"""The signals of liveness, with one module for each."""
