"""What searches read: one gallery for each tenant, in memory."""
