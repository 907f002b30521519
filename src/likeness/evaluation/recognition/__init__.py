"""Measurement of recognition (ISO/IEC 19795): rates, thresholds, conditions."""
