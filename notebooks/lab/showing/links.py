"""Addresses that a cell shows as a link."""

from __future__ import annotations

from html import escape


class Link(str):
    """An address; as the last line of a cell it can be clicked."""

    __slots__ = ()

    def __repr__(self) -> str:
        """The address, without quotes."""
        return str(self)

    def _repr_html_(self) -> str:
        url = escape(self, quote=True)
        return f'<a href="{url}" target="_blank" rel="noopener">{url}</a>'


class NoLink(Link):
    """What to do, where there is no address that a browser could open."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return escape(self)
