"""Conversion of published weights of networks to ONNX models for one runtime."""
