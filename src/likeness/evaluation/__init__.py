"""Measuring what the product promises, in the terms of ISO/IEC 19795-1."""
