"""The conversation with the person in front of the camera."""
