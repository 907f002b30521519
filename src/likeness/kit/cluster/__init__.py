"""Ray, which spreads work over the processes and machines of a cluster. It is optional."""
