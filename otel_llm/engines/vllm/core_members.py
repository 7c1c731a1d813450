"""Who is in a batch, and what each member does there."""

from collections.abc import Callable, Collection, Mapping
from typing import cast

import msgspec

from otel_llm.clock import MonotonicNs
from otel_llm.engines.vllm.accounts import Account
from otel_llm.engines.vllm.core_flight import Flight
from otel_llm.engines.vllm.core_host import Batch, CoreRequest
from otel_llm.facts.step import PHASE_DECODE, PHASE_PREFILL

_DECODE = bytes([PHASE_DECODE])


class Members:
    """The accounts of the requests in the scheduler, and the last batch made of them.

    Args:
        enter: makes an account of a request that is in a batch and was never queued.

    Attributes:
        accounts: by request id.
        unsettled: ids of members whose next step will not simply decode.
        ids: the last batch.
        indices: the index of each, encoded already: many steps have the same.
        phase: PHASE_DECODE for each.
        ones: 1 for each, as many tokens as decoding takes.
    """

    def __init__(self, enter: Callable[[CoreRequest], Account]) -> None:
        self._enter = enter
        self.accounts: dict[str, Account] = {}
        self.unsettled: set[str] = set()
        self.ids: list[str] = []
        self.indices: list[int] = []
        self.phase = b""
        self.ones: list[int] = []

    def settle(self, ids: list[str], requests: Mapping[str, CoreRequest]) -> None:
        """Look up a batch.

        Args:
            ids: its members.
            requests: the scheduler's, by id.
        """
        accounts = self.accounts
        for one in ids:
            if one not in accounts:
                accounts[one] = self._enter(requests[one])
        packed = msgspec.msgpack.encode([accounts[one].index for one in ids])
        self.indices = cast("list[int]", msgspec.Raw(packed))
        self.phase = _DECODE * len(ids)
        self.ones = [1] * len(ids)
        self.ids = ids

    def left(self, request_id: str) -> None:
        """A request has ended. Its id may come again, for another one."""
        self.unsettled.discard(request_id)
        self.ids = []

    def look(
        self, batch: Batch, requests: Mapping[str, CoreRequest], at_ns: MonotonicNs
    ) -> tuple[Flight, bytes, list[int]]:
        """Take in a batch with members that do something else than decode one token.

        Args:
            batch: vLLM's. Its new members come behind those that the workers know.
            requests: the scheduler's, by id.
            at_ns: when it was scheduled.

        Returns:
            The step, not numbered yet; the phase and the context of each member.
        """
        cached, new = batch.scheduled_cached_reqs, batch.scheduled_new_reqs
        ids = cached.req_ids + [one.req_id for one in new]
        context = cached.num_computed_tokens + [one.num_computed_tokens for one in new]
        if ids != self.ids:
            self.settle(ids, requests)
        flight = Flight(0, self.ids, [batch.num_scheduled_tokens[one] for one in ids])
        phase = bytearray(self.phase)
        for place in self._special(ids, len(cached.req_ids), cached.resumed_req_ids):
            if self._place(flight, place, context[place], at_ns):
                phase[place] = PHASE_PREFILL
        drafts = batch.scheduled_spec_decode_tokens
        if drafts:
            flight.drafts = [len(drafts.get(one, ())) for one in ids]
        return flight, bytes(phase), context

    def _special(self, ids: list[str], known: int, resumed: Collection[str]) -> set[int]:
        """Places of members that prefill or come back; those from `known` on are new."""
        places = {ids.index(one) for one in self.unsettled.union(resumed) if one in ids}
        return places.union(range(known, len(ids)))

    def _place(self, flight: Flight, place: int, context: int, at_ns: MonotonicNs) -> bool:
        """Book what a step takes of one member. Returns whether it prefills."""
        one = flight.ids[place]
        account = self.accounts[one]
        placed = account.place(context, context + flight.tokens[place], at_ns)
        flight.own = flight.own or {}
        flight.own[place] = placed.own
        if not account.has_token:
            flight.first = flight.first or {}
            flight.first[place] = account
        if placed.settled:
            self.unsettled.discard(one)
        else:
            self.unsettled.add(one)
        return placed.prefill
