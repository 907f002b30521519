"""Telling a tenant's backend that a session has ended: a signed call, tried again for two hours."""
