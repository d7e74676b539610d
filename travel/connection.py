"""The first edition's address of ``travel.temporal.connection``, for scripts that use it."""

from travel.temporal.connection import connect, task_queue

__all__ = ["connect", "task_queue"]
