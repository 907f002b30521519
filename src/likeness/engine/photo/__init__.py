"""From a photo's bytes to pixels, with limits of memory and time."""
