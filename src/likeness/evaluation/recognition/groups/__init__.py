"""The differences of performance between groups of people (ISO/IEC 19795-10)."""
