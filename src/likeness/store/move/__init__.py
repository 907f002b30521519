"""A deployment's data move to another database and another image store.

The source is only read. The target holds a mark until the move has ended, so that no server serves half of the data,
and so that the same move goes on after an interruption.
"""
