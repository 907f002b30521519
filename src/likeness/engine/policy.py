"""What may be asked of an engine besides: a tenant's settings hold it, and they need no NumPy."""

from enum import StrEnum


class FacePolicy(StrEnum):
    """What to do with several faces in a photo."""

    LARGEST = "largest"
    """Take the largest if it is clearly the subject, else refuse."""
    SINGLE = "single"
    """Refuse a photo with more than one face."""
