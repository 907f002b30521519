"""The exchange with the browser of the person in front of the camera."""
