"""1:N: has this person been here before? Enrol, search, delete, erase."""
