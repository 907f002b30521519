"""How good a face image is (ISO/IEC 29794-5)."""
