"""Requests' energy on one device over time, until they end: amounts that add up.

State is flat arrays of bounded size. An amount once handed out is never taken back: energy that
comes later is a further amount. So a request that never finishes costs a row now and then, and no
memory.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from otel_llm.energy.attribution import MODEL_ERROR, SHORT_ERROR, Shares
from otel_llm.energy.rounding import Floats, Ints
from otel_llm.facts.energy import BUSY, METERED, SHARED, Busy, Metered, Shared

_SUMS = ("prefill", "decode", "error2", "windows", "device_ns", "crowd")
_MOST = ("weakest", "sharing", "busy", "broken", "last_ns")
_FIELDS = ("request", *_SUMS, *_MOST)
_ADDED, _HIGHEST = slice(1, 1 + len(_SUMS)), slice(1 + len(_SUMS), len(_FIELDS))
_PARTS = ("request", "ended_ns", "mj")
Bools = np.typing.NDArray[np.bool_]
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
        # A row for each field, a column for each request, by rising number.
        self._held = np.zeros((len(_FIELDS), 0), dtype=np.int64)
        # A column for each part, in order of windows.
        self._parts = np.zeros((len(_PARTS), 0), dtype=np.int64)

    def __len__(self) -> int:
        return self._held.shape[1]

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
        model = sharing or self.sharing
        new = _columns(shares, model, busy)
        held = self._held
        place, there = _found(held[0], new[0])
        again, more = place[there], new[:, there]
        held[_ADDED, again] += more[_ADDED]
        held[_HIGHEST, again] = np.maximum(held[_HIGHEST, again], more[_HIGHEST])
        joined = np.concatenate([held, new[:, ~there]], axis=1)
        self._held = joined[:, np.argsort(joined[0], kind="stable")]
        self._note_parts(shares)
        return _row(shares, model, busy), self._shed()

    def settle(self, ended: Ints) -> list[Amount]:
        """Hand out what ended requests hold. Call it once their last window is closed.

        A request may be settled again: what came since is a further amount.

        Args:
            ended: shape (n,); numbers of requests, also of some that hold nothing.
        """
        place, there = _found(self._held[0], ended)
        return self._take(_marked(len(self), place[there]))

    def settle_older(self, than_ns: int) -> list[Amount]:
        """Hand out what requests hold that no window since `than_ns` has touched."""
        return self._take(self._held[_FIELDS.index("last_ns")] < than_ns)

    def state(self) -> dict[str, Any]:
        """All it holds, as plain data."""
        return self._limits() | {
            kind: {name: row.tolist() for name, row in rows.items()}
            for kind, rows in self._rows().items()
        }

    def packed(self) -> dict[str, Any]:
        """As `state`, with bytes in place of lists: a tenth of the time."""
        return self._limits() | {
            kind: {name: row.tobytes() for name, row in rows.items()}
            for kind, rows in self._rows().items()
        }

    @classmethod
    def restored(cls, state: dict[str, Any]) -> "Account":
        """An account that goes on from `state()` or `packed()`.

        Raises:
            ValueError: its arrays do not fit together, or its requests are in no order.
        """
        account = cls(
            state["sharing"], max_open=state["max_open"], model_error=state["model_error"]
        )
        account._held = _table(state["held"], _FIELDS)
        account._parts = _table(state["parts"], _PARTS)
        if (np.diff(account._held[0]) <= 0).any():
            message = "numbers of requests do not rise; the checkpoint is damaged"
            raise ValueError(message)
        return account

    def _rows(self) -> dict[str, dict[str, Ints]]:
        return {
            "held": dict(zip(_FIELDS, self._held, strict=True)),
            "parts": dict(zip(_PARTS, self._parts, strict=True)),
        }

    def _limits(self) -> dict[str, Any]:
        limits = {"max_open": self._max_open, "model_error": self._model_error}
        return {"sharing": self.sharing, **limits}

    def _note_parts(self, shares: Shares) -> None:
        energy = shares.prefill_mj + shares.decode_mj
        some = energy > 0
        ended = np.full(int(some.sum()), shares.window.end_ns)
        new = np.array([shares.request[some], ended, energy[some]])
        self._parts = np.concatenate([self._parts, new], axis=1)

    def _shed(self) -> list[Amount]:
        chosen = np.zeros(len(self), dtype=np.bool_)
        surplus = len(self) - self._max_open
        if surplus > 0:
            last_ns = self._held[_FIELDS.index("last_ns")]
            chosen[np.argsort(last_ns, kind="stable")[:surplus]] = True
        parts = self._parts.shape[1] - MOST_PARTS
        if parts > 0:  # those of the oldest windows; an eighth more, for it costs a pass over all
            oldest = self._parts[0, : parts + MOST_PARTS // 8]
            place, there = _found(self._held[0], oldest)
            chosen[place[there]] = True
        return self._take(chosen)

    def _take(self, chosen: Bools) -> list[Amount]:
        if not chosen.any():
            return []
        taken = dict(zip(_FIELDS, self._held[:, chosen], strict=True))
        self._held = self._held[:, ~chosen]
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
        _, chosen = _found(requests, self._parts[0])
        taken, self._parts = self._parts[:, chosen], self._parts[:, ~chosen]
        taken = taken[:, np.argsort(taken[0], kind="stable")]  # windows came in order of time
        edges = [
            np.searchsorted(taken[0], requests, side=side).tolist() for side in ("left", "right")
        ]
        ended, mj = taken[1:].tolist()
        return (
            [ended[low:high] for low, high in zip(*edges, strict=True)],
            [mj[low:high] for low, high in zip(*edges, strict=True)],
        )

    def _error_of(self, sharing: Shared) -> float:
        return MODEL_ERROR[sharing] if self._model_error is None else self._model_error


def _columns(shares: Shares, sharing: Shared, busy: Busy) -> Ints:
    """A window's charges as the account holds them; shape (fields, requests)."""
    window = shares.window
    columns = np.empty((len(_FIELDS), len(shares.request)), dtype=np.int64)
    rows: tuple[Ints | Floats | int, ...] = (
        shares.request,
        shares.prefill_mj,
        shares.decode_mj,
        np.ceil(shares.meter_error_mj**2),
        1,
        shares.device_ns,
        np.rint(shares.decode_mj * shares.batch),
        METERED.index(window.method),
        SHARED.index(sharing),
        BUSY.index(busy),
        window.incomplete,
        window.end_ns,
    )
    for place, row in enumerate(rows):
        columns[place] = row
    return columns


def _found(numbers: Ints, wanted: Ints) -> tuple[Ints, Bools]:
    """Where each wanted number would stand among rising ones, and whether it is there.

    Args:
        numbers: shape (n,); rising, none twice.
        wanted: shape (m,); at least 0.
    """
    place = np.searchsorted(numbers, wanted)
    return place, np.append(numbers, -1)[place] == wanted


def _marked(count: int, places: Ints) -> Bools:
    marked = np.zeros(count, dtype=np.bool_)
    marked[places] = True
    return marked


def _table(saved: dict[str, Any], names: tuple[str, ...]) -> Ints:
    rows = [_ints(saved[name]) for name in names]
    if len({len(row) for row in rows}) != 1:
        message = f"{', '.join(names)} differ in length; the checkpoint is damaged"
        raise ValueError(message)
    return np.array(rows)


def _ints(saved: bytes | list[int]) -> Ints:
    if isinstance(saved, bytes):
        return np.frombuffer(saved, dtype=np.int64)
    return np.array(saved, dtype=np.int64)


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
