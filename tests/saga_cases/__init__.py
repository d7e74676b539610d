"""Workflows that use the Saga as people write Workflows, a class for each way.

A module for each kind: the sandbox loads a Workflow's whole module for each one that it runs.
"""
