"""What keeps a gallery whole: tidying, sweeping unwanted photos, checking what is stored."""
