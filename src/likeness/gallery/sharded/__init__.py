"""Galleries in parts: processes on several machines each hold one part, and a search asks one of each part."""
