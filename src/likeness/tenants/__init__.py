"""Who uses the deployment: tenants, their settings, their data keys and their API clients."""
