"""Here it is only kept: ``tests/test_prove.py`` takes the folder home and runs it there."""

collect_ignore = ["test_concert.py"]
