"""How the SDK's core makes a Workflow's random seed of its run id: SipHash 1-3 with key 0.

The same here, so that ``workflow.random()`` and ``workflow.uuid4()`` give the same in a
simulation and when the SDK's ``Replayer`` replays its history.
"""

from __future__ import annotations

from functools import lru_cache

_MASK = (1 << 64) - 1


@lru_cache(maxsize=4096)
def randomness_seed(run_id: str) -> int:
    """The seed of a run; Rust hashes a string as its bytes and 0xff."""
    return _siphash13(run_id.encode() + b"\xff")


def _siphash13(data: bytes) -> int:
    state = [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573]
    padded = data + bytes(7 - len(data) % 8) + bytes([len(data) & 0xFF])
    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        state[3] ^= word
        _round(state)
        state[0] ^= word
    state[2] ^= 0xFF
    for _ in range(3):
        _round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _round(v: list[int]) -> None:
    v[0] = (v[0] + v[1]) & _MASK
    v[1] = _rotate(v[1], 13) ^ v[0]
    v[0] = _rotate(v[0], 32)
    v[2] = (v[2] + v[3]) & _MASK
    v[3] = _rotate(v[3], 16) ^ v[2]
    v[0] = (v[0] + v[3]) & _MASK
    v[3] = _rotate(v[3], 21) ^ v[0]
    v[2] = (v[2] + v[1]) & _MASK
    v[1] = _rotate(v[1], 17) ^ v[2]
    v[2] = _rotate(v[2], 32)


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK
