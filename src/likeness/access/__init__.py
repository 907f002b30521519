"""Access: API clients, their tokens and permissions, and the signing keys."""
