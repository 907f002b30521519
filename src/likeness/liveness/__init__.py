"""The liveness check of a person in front of a camera: challenge, signals and verdict.

``base`` has the types that go in and out. ``attempt.script`` draws the challenge. ``attempt.check`` judges one attempt
frame by frame. This package uses neither the web nor the database.
"""
