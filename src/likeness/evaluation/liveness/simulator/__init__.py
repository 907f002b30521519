"""Simulated presentations before a simulated camera. Its pictures are not of live people or of real attacks.

From one still photo it renders a head, or a presentation attack instrument, in linear light. It simulates perspective,
the light of the room and of the screen, lens distortion, drifting exposure and white balance, sensor noise and
compression. Lengths are in centimetres. Camera axes: x right, y down, z away from the camera. Object axes: x right, y
down, z towards the camera.
"""
