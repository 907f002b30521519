"""Code that knows nothing of the business: clock, ids, JOSE, encryption, executors."""
