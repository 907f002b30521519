"""``likeness demo``: a server that proves itself on real photos, then stays up."""
