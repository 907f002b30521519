"""Photo bytes to faces: decoding, detection, alignment, recognition, quality, liveness models. No web, no database."""
