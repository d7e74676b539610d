"""How we meet Temporal: connection, server and its supervisor, runtime, search attributes."""
