"""Measurements on one camera frame."""
