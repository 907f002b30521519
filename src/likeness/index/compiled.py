"""The compiled module, where it could be built. Everything in it has a slower form in Python."""

try:
    from likeness.index._native import encode, kernels, scan

    BUILT = True
except ImportError:
    BUILT = False

__all__ = ["BUILT", "encode", "kernels", "scan"]
