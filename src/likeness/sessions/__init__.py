"""Face sessions: an ID photo, and the check of its person in front of a camera."""
