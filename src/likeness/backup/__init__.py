"""Backups: one encrypted file with the database and the photos, made while the server runs, and its restore.

The file is a tar archive in the age format. So the programs ``age`` and ``tar`` open it, too. Its members, in this
order: ``backup.json``, ``master.key`` (only if asked for), ``database.sqlite3``, ``photos/TENANT/PHOTO``, and
``statement.jws``, which signs the SHA-256 of all members before it.
"""
