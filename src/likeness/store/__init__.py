"""What outlives a restart: the database and the images."""
