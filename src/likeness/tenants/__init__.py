"""The tenants of a deployment, their settings and their data keys."""
