"""The HTTP server: uvicorn with its own limits, deadlines and shutdown.

It is uvicorn on httptools, with a protocol class of this package. The alternatives have these faults:

- uvicorn on httptools without this class has no limit for headers, and no deadline except for idle connections. It
  loses the body of a request that offers ``Upgrade: h2c``. It does not answer a caller that closed its half of the
  connection. SIGTERM kills it before the application is closed.
- uvicorn on h11 has a limit for headers and keeps such a body. But it takes 78 µs to read a small request, instead of
  2 µs. For 256 KB of one-byte chunks it takes 0.28 s of the event loop, instead of 0.005 s. So one upload without a
  token would delay all other callers.
- hypercorn is built on h11 too. granian runs the application in its own worker processes. It does not limit the size of
  a camera frame or the rate of a body.

So ``protocol`` adds the missing parts to uvicorn's class. uvicorn's version is pinned for that reason.
"""
