"""Payloads encrypted before they leave this process, where ``TRAVEL_ENCRYPTION_KEY`` is set.

The server then stores what it cannot read: names, prices, cards, what a query answers, what
a failure says. Client, Worker and desk all need the key. ``python -m
travel.temporal.encryption`` prints a new one.

Several keys, separated by commas: the first encrypts, all decrypt. To rotate, put a new key
first everywhere, and drop the old one when no trip is left in the retention of the server
that was written with it. (Where Workers are many, first add the new key at the end of every
list. Otherwise those who have it write what the others cannot read yet.)

**What stays in clear**, because the server needs it: Workflow ids, types, Task Queues,
Activity names and their numbers, timeouts and times, search attributes, the type of a
failure ("Rejected"), the reason of a termination or a cancel request, the identity of a
Worker (process and host). Ours hold no personal data, with one exception, which the design
has fixed: the Workflow id is ``booking-<customer>-<code>``. Where that must not be a name,
let ``customer`` be a customer number.

The cipher is Fernet (AES-128 in CBC mode with HMAC-SHA256: a changed payload is refused) of
the ``cryptography`` library: https://cryptography.io/en/latest/fernet/.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

from travel.errors import InvalidInput

# The library is imported where it is used: a trip without encryption does not wait for it,
# and a Workflow's sandbox cannot load it a second time.
if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_VARIABLE = "TRAVEL_ENCRYPTION_KEY"
ENCODING = b"binary/encrypted"

_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


class EncryptionCodec(PayloadCodec):
    """Encrypts with the first key, decrypts with whichever fits."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises ``InvalidInput``, which never shows a key, if one of them is none."""
        from cryptography.fernet import MultiFernet

        self._fernet = MultiFernet([_cipher(key, n, len(keys)) for n, key in enumerate(keys, 1)])

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """See ``PayloadCodec``."""
        return [
            Payload(
                metadata={"encoding": ENCODING},
                data=self._fernet.encrypt(payload.SerializeToString()),
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Also takes what was written before encryption was switched on.

        Raises ``InvalidInput`` for what none of the keys opens. A Workflow then waits for
        the right key; it does not fail.
        """
        return [self._decoded(payload) for payload in payloads]

    def _decoded(self, payload: Payload) -> Payload:
        from cryptography.fernet import InvalidToken

        if payload.metadata.get("encoding") != ENCODING:
            return payload
        try:
            return Payload.FromString(self._fernet.decrypt(payload.data))
        except InvalidToken:
            raise InvalidInput(
                f"None of the keys in {KEY_VARIABLE} opens a payload; expected the key that it "
                "was written with among them."
            ) from None


def data_converter() -> DataConverter:
    """What ``Client.connect`` needs: encrypting where ``TRAVEL_ENCRYPTION_KEY`` is set.

    Raises ``InvalidInput`` if that is not a list of keys.
    """
    configured = os.environ.get(KEY_VARIABLE, "").strip()
    if not configured:
        return DataConverter.default
    keys = [key.strip() for key in configured.split(",")]
    return dataclasses.replace(
        DataConverter.default,
        payload_codec=EncryptionCodec(keys),
        # A failure's message and stack trace may quote what it is about.
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def _cipher(key: str, number: int, count: int) -> Fernet:
    from cryptography.fernet import Fernet

    # Fernet itself overlooks what does not belong into base64, a second key for instance.
    if not _KEY.fullmatch(key):
        raise InvalidInput(
            f"Key {number} of {count} in {KEY_VARIABLE} is not a key; expected 32 bytes in "
            "URL-safe base64, as `python -m travel.temporal.encryption` prints them."
        )
    return Fernet(key)


if __name__ == "__main__":
    from cryptography.fernet import Fernet

    print(Fernet.generate_key().decode())
