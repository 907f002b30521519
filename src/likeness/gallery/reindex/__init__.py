"""The move of a gallery to another model pack while it answers."""
