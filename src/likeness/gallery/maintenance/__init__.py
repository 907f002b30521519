"""Maintenance of galleries: loading, tidying, the sweep of unwanted photos, the verification of stored data."""
