"""The hints of the injection signal: each module looks for one kind of trace that injected frames leave."""
