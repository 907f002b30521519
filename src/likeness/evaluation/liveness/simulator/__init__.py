"""Simulated presentations before a simulated camera. Nothing here is a photo of a live person or of a real attack.

From one still photo it renders a head, or what attackers hold up instead, in linear light: perspective, shading by the
room and by the screen, lens distortion, exposure and white balance that drift, sensor noise, compression. Lengths are
centimetres. Camera axes: x right, y down, z away from the camera. Object axes: the same, with z towards the camera.
"""
