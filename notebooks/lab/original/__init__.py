"""The booking as it was before Temporal. Nothing to copy from."""
