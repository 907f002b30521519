"""Webhooks: a signed call to a tenant's backend when a session ends, repeated for up to two hours."""
