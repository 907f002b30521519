"""Weights of other people's networks, as they publish them, to ONNX models that one runtime executes."""
