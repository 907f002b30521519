"""The HTTP server: uvicorn's, with limits, deadlines and an end of our own.

Why uvicorn on httptools with a protocol class of ours, and none of the others:

- uvicorn on httptools as it comes has no limit for headers, no deadline but for idle connections, loses the body of a
  request that offers ``Upgrade: h2c``, answers no caller that closed its half of the connection, and dies of SIGTERM
  before the application is closed.
- uvicorn on h11 has a limit for headers and keeps such a body, but takes 78 µs to read a small request instead of 2 µs,
  and 0.28 s of the event loop for 256 KB of one-byte chunks instead of 0.005 s: one upload without a token would hold
  up everybody.
- hypercorn is built on h11 too. granian runs the application in worker processes of its own and does not bound the size
  of a camera frame or the rate of a body.

So ``protocol`` adds what is missing to uvicorn's class, whose version is pinned for that.
"""
