"""Galleries in parts: processes on several machines each hold one part, and a search asks one of each part.

Nothing of the server or of the commands uses it yet.
"""
