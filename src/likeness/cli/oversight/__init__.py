"""Commands that check the deployment and show who did what."""
