"""The bound on the work of one search, so that no photo costs much more than another one."""

PER_PHOTO = 1_400_000
"""Work for the subject of one photo. A search that finds a large face at once takes 40,000. Its recognition takes as
much time as 400,000."""


class Work:
    """What a search may still spend, in pixels of the detector's first network. Other costs are converted to them."""

    def __init__(self, pixels: float = PER_PHOTO) -> None:
        self.left = float(pixels)

    def allow(self, pixels: float) -> None:
        """Allow so much work, even if less is left."""
        self.left = max(self.left, float(pixels))

    def spend(self, pixels: float) -> None:
        """Spend work. More than what is left may be spent once."""
        self.left = max(self.left - pixels, 0.0)
