"""The false-positive identification rate (FPIR) that a tenant's own gallery showed."""
