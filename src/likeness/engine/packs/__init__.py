"""Model packs as data: their networks, sources, licences and measurements."""
