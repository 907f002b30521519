"""The slot for an attestation: a native app hands over a token in which its platform vouches for app and device.

A verifier checks the token on this server. The signed result states what it found. It decides no attempt: the backend
that reads the result decides what it asks for.
"""
