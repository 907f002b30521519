"""The replacement of keys: what a tenant's older data keys have sealed is sealed again, while the server runs."""
