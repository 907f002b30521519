"""An engine's policy for faces. It has its own module, because a tenant's settings hold it and need no NumPy."""

from enum import StrEnum


class FacePolicy(StrEnum):
    """The rule for a photo with several faces."""

    LARGEST = "largest"
    """Take the largest face if it is clearly the subject; otherwise refuse the photo."""
    SINGLE = "single"
    """Refuse a photo with more than one face."""
    DOCUMENT = "document"
    """Take the largest face of a document. A smaller second image of the portrait is no rival."""
