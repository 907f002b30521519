"""Access tokens: issue, verification, and who may call what."""
