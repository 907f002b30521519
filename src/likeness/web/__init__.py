"""The common parts of HTTP calls: bodies, errors, components, context."""
