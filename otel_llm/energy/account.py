"""Requests' energy on one device over time, until they end: amounts that add up.

State is flat arrays of bounded size. An amount once handed out is never taken back: energy that
comes later is a further amount. So a request that never finishes costs a row now and then, and no
memory.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from otel_llm.energy.attribution import MODEL_ERROR, SHORT_ERROR, Shares
from otel_llm.energy.rounding import Ints
from otel_llm.facts.energy import BUSY, METERED, SHARED, Busy, Metered, Shared

_SUMS = ("prefill", "decode", "error2", "windows", "device_ns", "crowd")
_MOST = ("weakest", "sharing", "busy", "broken", "last_ns")
_FIELDS = ("request", *_SUMS, *_MOST)
_PARTS = ("request", "ended_ns", "mj")
MOST_PARTS = 1 << 20
"""Parts of requests in windows that are held at once: 2,048 requests for 500 windows."""


class Amount(NamedTuple):
    """Energy charged to a request on a device since its last amount.

    Attributes:
        request: its number, as in `Steps.request`.
        prefill_mj, decode_mj: in millijoules.
        error_mj: bound of the error of their sum.
        method: the weakest way by which a window of it was metered.
        windows: how many windows had a part of it.
        incomplete: facts about one of them were lost.
        sharing: the weakest model by which a window of it was shared.
        busy: the weakest source of steps' busy time in them.
        device_ns: its part of the time with a step on the device, in nanoseconds.
        batch: members of its steps in decode, in the mean by energy; 0 without decode.
        ended_ns: ends of the windows in which it was charged, in monotonic nanoseconds; rising.
        window_mj: what it was charged in each; adding up to both phases.
    """

    request: int
    prefill_mj: int
    decode_mj: int
    error_mj: int
    method: Metered
    windows: int
    incomplete: bool
    sharing: Shared
    busy: Busy
    device_ns: int
    batch: float
    ended_ns: Sequence[int] = ()
    window_mj: Sequence[int] = ()


class LedgerRow(NamedTuple):
    """A window's line in the ledger: `delta_mj` is the sum of the three after it, exactly."""

    started_ns: int
    ended_ns: int
    delta_mj: int
    attributed_mj: int
    idle_mj: int
    unattributed_mj: int
    method: Metered
    sharing: Shared
    error_mj: int
    flags: tuple[str, ...]
    busy: Busy

    @property
    def incomplete(self) -> bool:
        """Whether facts about it were lost."""
        return bool(self.flags)


class Account:
    """The open accounts of one device.

    Args:
        sharing: the model that shares steps among members, where a window is given without one.
        max_open: requests held at once; beyond, those untouched longest are handed out.
        model_error: bound of the model's own error, as a part of the energy; the shipped one if
            None.
    """

    def __init__(
        self, sharing: Shared = "work", *, max_open: int = 65536, model_error: float | None = None
    ) -> None:
        self.sharing: Shared = sharing
        self._max_open = max_open
        self._model_error = model_error
        self._held = {name: np.zeros(0, dtype=np.int64) for name in _FIELDS}
        self._parts = {name: np.zeros(0, dtype=np.int64) for name in _PARTS}

    def __len__(self) -> int:
        return len(self._held["request"])

    def add(
        self, shares: Shares, sharing: Shared | None = None, busy: Busy = "step_time"
    ) -> tuple[LedgerRow, list[Amount]]:
        """Take in a window.

        Args:
            shares: the window.
            sharing: the weakest model by which its steps were shared; the account's own if None.
            busy: the weakest source of its steps' busy time.

        Returns:
            Its line in the ledger, and amounts handed out because too many are open.
        """
        held, count = self._held, len(shares.request)
        model = sharing or self.sharing
        window = shares.window
        new = {
            "request": shares.request,
            "prefill": shares.prefill_mj,
            "decode": shares.decode_mj,
            "error2": np.ceil(shares.meter_error_mj**2).astype(np.int64),
            "windows": np.ones(count, dtype=np.int64),
            "device_ns": shares.device_ns,
            "crowd": np.rint(shares.decode_mj * shares.batch).astype(np.int64),
            "weakest": np.full(count, METERED.index(window.method)),
            "sharing": np.full(count, SHARED.index(model)),
            "busy": np.full(count, BUSY.index(busy)),
            "broken": np.full(count, int(window.incomplete)),
            "last_ns": np.full(count, window.end_ns),
        }
        joined = {name: np.concatenate([held[name], new[name]]) for name in _FIELDS}
        request, place = np.unique(joined["request"], return_inverse=True)
        self._held = {"request": request} | {
            name: _merged(joined[name], place, len(request), most=name in _MOST)
            for name in _FIELDS[1:]
        }
        self._note_parts(shares)
        return _row(shares, model, busy), self._shed()

    def settle(self, ended: Ints) -> list[Amount]:
        """Hand out what ended requests hold. Call it once their last window is closed.

        A request may be settled again: what came since is a further amount.

        Args:
            ended: shape (n,); numbers of requests, also of some that hold nothing.
        """
        return self._take(np.isin(self._held["request"], ended))

    def settle_older(self, than_ns: int) -> list[Amount]:
        """Hand out what requests hold that no window since `than_ns` has touched."""
        return self._take(self._held["last_ns"] < than_ns)

    def state(self) -> dict[str, Any]:
        """All it holds, as plain data."""
        arrays = {"held": self._held, "parts": self._parts}
        return self._limits() | {
            kind: {name: array.tolist() for name, array in one.items()}
            for kind, one in arrays.items()
        }

    def packed(self) -> dict[str, Any]:
        """As `state`, with bytes in place of lists: a tenth of the time."""
        arrays = {"held": self._held, "parts": self._parts}
        return self._limits() | {
            kind: {name: array.tobytes() for name, array in one.items()}
            for kind, one in arrays.items()
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "Account":
        """An account that goes on from `state()` or `packed()`.

        Raises:
            ValueError: its arrays do not fit together.
        """
        account = cls(
            state["sharing"], max_open=state["max_open"], model_error=state["model_error"]
        )
        account._held = _arrays(state["held"], _FIELDS)
        account._parts = _arrays(state["parts"], _PARTS)
        return account

    def _limits(self) -> dict[str, Any]:
        limits = {"max_open": self._max_open, "model_error": self._model_error}
        return {"sharing": self.sharing, **limits}

    def _note_parts(self, shares: Shares) -> None:
        energy = shares.prefill_mj + shares.decode_mj
        some = energy > 0
        ended = np.full(int(some.sum()), shares.window.end_ns)
        new = {"request": shares.request[some], "ended_ns": ended, "mj": energy[some]}
        self._parts = {
            name: np.concatenate([array, new[name]]) for name, array in self._parts.items()
        }

    def _shed(self) -> list[Amount]:
        chosen = np.zeros(len(self), dtype=np.bool_)
        surplus = len(self) - self._max_open
        if surplus > 0:
            chosen[np.argsort(self._held["last_ns"], kind="stable")[:surplus]] = True
        parts = len(self._parts["request"]) - MOST_PARTS
        if parts > 0:  # those of the oldest windows; an eighth more, for it costs a pass over all
            oldest = self._parts["request"][: parts + MOST_PARTS // 8]
            chosen |= np.isin(self._held["request"], oldest)
        return self._take(chosen)

    def _take(self, chosen: np.typing.NDArray[np.bool_]) -> list[Amount]:
        if not chosen.any():
            return []
        taken = {name: array[chosen] for name, array in self._held.items()}
        self._held = {name: array[~chosen] for name, array in self._held.items()}
        energy = taken["prefill"] + taken["decode"]
        own = np.array([self._error_of(one) for one in SHARED])[taken["sharing"]]
        short = SHORT_ERROR * np.minimum(1.0, 2.0 / (taken["windows"] - 0.99))
        part = own + np.where(taken["windows"] > 3, 0.0, short)
        # Ends of neighbouring windows err in opposite ways; the model errs in one.
        error = np.ceil(np.sqrt(taken["error2"]) + part * energy).astype(np.int64) + 1
        batches = taken["crowd"] / np.maximum(taken["decode"], 1)
        ended, parts = self._take_parts(taken["request"])
        columns = [taken[name].tolist() for name in ("request", "prefill", "decode")]
        names = ("weakest", "windows", "broken", "sharing", "busy", "device_ns")
        rest = [taken[name].tolist() for name in names]
        return [
            Amount(
                request, prefill, decode, bound, METERED[weakest], windows, bool(broken),
                SHARED[model], BUSY[busy], device_ns, batch, ended_ns, window_mj,
            )
            for request, prefill, decode, bound, weakest, windows, broken, model, busy, device_ns,
            batch, ended_ns, window_mj in zip(
                *columns, error.tolist(), *rest, batches.tolist(), ended, parts, strict=True
            )
        ]  # fmt: skip

    def _take_parts(self, requests: Ints) -> tuple[list[list[int]], list[list[int]]]:
        """Take out the parts of requests, given by rising number: ends of windows, and amounts."""
        chosen = np.isin(self._parts["request"], requests)
        taken = {name: array[chosen] for name, array in self._parts.items()}
        self._parts = {name: array[~chosen] for name, array in self._parts.items()}
        order = np.argsort(taken["request"], kind="stable")  # windows came in order of time
        edges = [
            np.searchsorted(taken["request"][order], requests, side=side).tolist()
            for side in ("left", "right")
        ]
        ended, mj = (taken[name][order].tolist() for name in ("ended_ns", "mj"))
        return (
            [ended[low:high] for low, high in zip(*edges, strict=True)],
            [mj[low:high] for low, high in zip(*edges, strict=True)],
        )

    def _error_of(self, sharing: Shared) -> float:
        return MODEL_ERROR[sharing] if self._model_error is None else self._model_error


def _arrays(saved: dict[str, Any], names: tuple[str, ...]) -> dict[str, Ints]:
    arrays = {name: _ints(saved[name]) for name in names}
    if len({len(array) for array in arrays.values()}) != 1:
        message = f"{', '.join(names)} differ in length; the checkpoint is damaged"
        raise ValueError(message)
    return arrays


def _ints(saved: bytes | list[int]) -> Ints:
    # A copy either way: what comes from bytes cannot be written to.
    values: Ints = (
        np.frombuffer(saved, dtype=np.int64) if isinstance(saved, bytes) else np.asarray(saved)
    ).astype(np.int64)
    return values


def _row(shares: Shares, sharing: Shared, busy: Busy) -> LedgerRow:
    window = shares.window
    return LedgerRow(
        window.start_ns,
        window.end_ns,
        window.delta_mj,
        shares.attributed_mj,
        shares.idle_mj,
        shares.unattributed_mj,
        window.method,
        sharing,
        window.error_mj,
        window.flags,
        busy,
    )


def _merged(values: Ints, place: Ints, count: int, *, most: bool) -> Ints:
    merged = np.zeros(count, dtype=np.int64)
    if most:
        np.maximum.at(merged, place, values)
    else:
        np.add.at(merged, place, values)
    return merged
