"""The administration of a tenant by its own people: what the commands of the operator do, for one tenant, as calls."""
