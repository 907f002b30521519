"""The quality of a face image, in the terms of ISO/IEC 29794-5."""
