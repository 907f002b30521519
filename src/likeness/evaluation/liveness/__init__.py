"""Measurement of presentation attack detection (ISO/IEC 30107-3), on simulated attempts and on real photos."""
