"""What each tenant's calls and face sessions came to, by the hour."""
