"""The designs, one a file: ``book_trip`` is the one to copy, the others are flawed."""
