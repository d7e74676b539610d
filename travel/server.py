"""The first edition's address of ``travel.temporal.server``, for scripts that use it."""

from travel.temporal.server import Server, embedded_server, is_embedded, start_server

__all__ = ["Server", "embedded_server", "is_embedded", "start_server"]
