"""Requests' energy on one device over time, until they end: amounts that add up.

State is flat arrays of bounded size. An amount once handed out is never taken back: energy that
comes later is a further amount. So a request that never finishes costs a row now and then, and no
memory.
"""

from typing import Any, NamedTuple

import numpy as np

from otel_llm.energy.attribution import MODEL_ERROR, SHORT_ERROR, Shares
from otel_llm.energy.meter import Method
from otel_llm.energy.models import Sharing
from otel_llm.energy.rounding import Ints

_METHODS: tuple[Method, ...] = ("counter", "integrated", "estimate")
_FIELDS = ("request", "prefill", "decode", "error2", "windows", "weakest", "broken", "last_ns")


class Amount(NamedTuple):
    """Energy charged to a request on a device since its last amount.

    Attributes:
        request: its number, as in `Steps.request`.
        prefill_mj, decode_mj: in millijoules.
        error_mj: bound of the error of their sum.
        method: the weakest way by which a window of it was metered.
        windows: how many windows had a part of it.
        incomplete: facts about one of them were lost.
    """

    request: int
    prefill_mj: int
    decode_mj: int
    error_mj: int
    method: Method
    windows: int
    incomplete: bool


class LedgerRow(NamedTuple):
    """A window's line in the ledger: `delta_mj` is the sum of the three after it, exactly."""

    started_ns: int
    ended_ns: int
    delta_mj: int
    attributed_mj: int
    idle_mj: int
    unattributed_mj: int
    method: Method
    sharing: Sharing
    error_mj: int
    incomplete: bool


class Account:
    """The open accounts of one device.

    Args:
        sharing: the model that shares steps among members.
        max_open: requests held at once; beyond, those untouched longest are handed out.
        model_error: bound of the model's own error, as a part of the energy; the shipped one if
            None.
    """

    def __init__(
        self, sharing: Sharing = "work", *, max_open: int = 65536, model_error: float | None = None
    ) -> None:
        self.sharing: Sharing = sharing
        self._max_open = max_open
        self._model_error = MODEL_ERROR[sharing] if model_error is None else model_error
        self._held = {name: np.zeros(0, dtype=np.int64) for name in _FIELDS}

    def __len__(self) -> int:
        return len(self._held["request"])

    def add(self, shares: Shares) -> tuple[LedgerRow, list[Amount]]:
        """Take in a window.

        Returns:
            Its line in the ledger, and amounts handed out because too many are open.
        """
        held, count = self._held, len(shares.request)
        window = shares.window
        new = {
            "request": shares.request,
            "prefill": shares.prefill_mj,
            "decode": shares.decode_mj,
            "error2": np.ceil(shares.meter_error_mj**2).astype(np.int64),
            "windows": np.ones(count, dtype=np.int64),
            "weakest": np.full(count, _METHODS.index(window.method)),
            "broken": np.full(count, int(window.incomplete)),
            "last_ns": np.full(count, window.end_ns),
        }
        joined = {name: np.concatenate([held[name], new[name]]) for name in _FIELDS}
        request, place = np.unique(joined["request"], return_inverse=True)
        self._held = {"request": request} | {
            name: _merged(joined[name], place, len(request), most=name in _FIELDS[5:])
            for name in _FIELDS[1:]
        }
        return self._row(shares), self._shed()

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
        held = {name: array.tolist() for name, array in self._held.items()}
        limits = {"max_open": self._max_open, "model_error": self._model_error}
        return {"sharing": self.sharing, **limits, "held": held}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "Account":
        """An account that goes on from `state()`.

        Raises:
            ValueError: its arrays do not fit together.
        """
        account = cls(
            state["sharing"], max_open=state["max_open"], model_error=state["model_error"]
        )
        held = {name: np.array(state["held"][name], dtype=np.int64) for name in _FIELDS}
        if len({len(array) for array in held.values()}) != 1:
            message = "held: its arrays differ in length; the checkpoint is damaged"
            raise ValueError(message)
        account._held = held
        return account

    def _row(self, shares: Shares) -> LedgerRow:
        window = shares.window
        return LedgerRow(
            window.start_ns,
            window.end_ns,
            window.delta_mj,
            shares.attributed_mj,
            shares.idle_mj,
            shares.unattributed_mj,
            window.method,
            self.sharing,
            window.error_mj,
            window.incomplete,
        )

    def _shed(self) -> list[Amount]:
        surplus = len(self) - self._max_open
        if surplus <= 0:
            return []
        chosen = np.zeros(len(self), dtype=np.bool_)
        chosen[np.argsort(self._held["last_ns"], kind="stable")[:surplus]] = True
        return self._take(chosen)

    def _take(self, chosen: np.typing.NDArray[np.bool_]) -> list[Amount]:
        taken = {name: array[chosen] for name, array in self._held.items()}
        self._held = {name: array[~chosen] for name, array in self._held.items()}
        energy = taken["prefill"] + taken["decode"]
        model = self._model_error + SHORT_ERROR * np.minimum(1.0, 2.0 / (taken["windows"] - 0.99))
        model = np.where(taken["windows"] > 3, self._model_error, model)
        # Ends of neighbouring windows err in opposite ways; the model errs in one.
        error = np.ceil(np.sqrt(taken["error2"]) + model * energy).astype(np.int64) + 1
        columns = (taken["request"], taken["prefill"], taken["decode"], error)
        more = (taken["weakest"], taken["windows"], taken["broken"])
        return [
            Amount(request, prefill, decode, bound, _METHODS[weakest], windows, bool(broken))
            for request, prefill, decode, bound, weakest, windows, broken in zip(
                *(array.tolist() for array in (*columns, *more)), strict=True
            )
        ]


def _merged(values: Ints, place: Ints, count: int, *, most: bool) -> Ints:
    merged = np.zeros(count, dtype=np.int64)
    if most:
        np.maximum.at(merged, place, values)
    else:
        np.add.at(merged, place, values)
    return merged
