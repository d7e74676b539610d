"""DELIBERATELY WRONG: Workflows that lose something, a file each; never copy one.

They repeat each other line for line on purpose: a reader diffs them.
"""
