"""Commands that measure: calibration, evaluation, quality."""
