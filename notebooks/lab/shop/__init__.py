"""Another domain: a shop and its four services, as they come, without keys or tombstones."""

from lab.shop.services import Parcel, Refused, Shop

__all__ = ["Parcel", "Refused", "Shop"]
