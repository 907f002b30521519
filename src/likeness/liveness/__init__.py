"""Whether the person in front of a camera is live: challenge, signals, verdict. No web, no database.

``base`` holds what goes in and comes out, ``script`` draws the challenge, ``check`` judges one attempt frame by frame.
"""
