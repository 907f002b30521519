"""Results of face sessions: one signed result and, for a while, the image that decided the session."""
