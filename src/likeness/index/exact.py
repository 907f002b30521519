"""The exact index the product searches with."""

from likeness.index.reference import ReferenceIndex


class ExactIndex(ReferenceIndex):
    """An ``Index`` whose answers are exact by proof."""
