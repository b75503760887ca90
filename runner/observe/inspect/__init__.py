"""Statistics that databases and caches keep themselves, where the specification gives credentials."""
