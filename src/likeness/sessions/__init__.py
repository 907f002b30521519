"""Face sessions: an ID photo waits for its person in front of a camera."""
