"""``likeness demo``: a server that is tested on real photos, then stays up."""
