"""Moving a gallery to another model pack while it answers."""
