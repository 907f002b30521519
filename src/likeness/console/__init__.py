"""The console: pages for a tenant's people, who sign in with an account. It calls the services that the API calls."""
