"""The data that outlives a restart: the database and the images."""
