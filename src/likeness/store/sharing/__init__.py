"""What several processes on one PostgreSQL database share: the log of changes, notifications and leases."""
