"""Each signal of liveness, one module for each."""
