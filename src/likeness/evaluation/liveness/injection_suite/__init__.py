"""Scripted injection attacks on a running server, in the terms of CEN/TS 18099.

Each attack is a method (how the pictures come in) and an instrument (what they show). The people are simulated.
"""
