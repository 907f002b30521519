"""From photo bytes to faces: decoding, detection, alignment, recognition, quality and PAD models.

This package uses neither the web nor the database.
"""
