"""Face verification (1:1): whether two photos show one person, and how certain that is."""
