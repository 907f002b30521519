"""Who analyses photos in the place of an engine on a thread: processes of this machine, or actors of a Ray cluster."""
