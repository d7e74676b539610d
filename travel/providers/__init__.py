"""The five companies that a trip depends on, each with an idempotent do and undo.

None of them knows Temporal. Every call carries an idempotency key and raises
``Rejected`` for a definite no.
"""
