"""Face identification (1:N): whether a person is enrolled already. Enrol, search, delete, erase."""
