"""The Workflows: ``BookTrip`` is the one to copy; how they call Activities is in ``calls``."""
