"""Measurement of error rates, in the terms of ISO/IEC 19795-1."""
