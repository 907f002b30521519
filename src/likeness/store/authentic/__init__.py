"""Rows that decide: nobody who writes to the database without the keys changes them unnoticed."""
