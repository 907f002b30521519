"""Recorded attempts: what the server received and answered, kept under seal, judged again, and measured."""
