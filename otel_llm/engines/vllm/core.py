"""What one scheduler of vLLM's engine core does, as facts.

The hooks call `Core` from the scheduler's thread. A step that only decodes, with the members of the
step before, costs no loop over its members; members that prefill, come back or speculate are
looked at one by one.

A streaming-input session is one request: its prompt is that of its first input, and its account
holds for that input alone.
"""

import time
from collections.abc import Collection, Mapping, Sequence

from otel_llm.clock import MonotonicNs
from otel_llm.engines.vllm import extract
from otel_llm.engines.vllm.accounts import Account
from otel_llm.engines.vllm.core_arrivals import Arrivals
from otel_llm.engines.vllm.core_flight import Flight
from otel_llm.engines.vllm.core_host import ArrivingRequest, Batch, CoreRequest, Result, Scheduler
from otel_llm.facts.step import PHASE_DECODE, PHASE_PREFILL
from otel_llm.isolation import Guard
from otel_llm.recorder import Recorder

_DECODE = bytes([PHASE_DECODE])


class Core:
    """Follows one scheduler.

    Args:
        scheduler: vLLM's, just made. It is not kept.
        recorder: where the facts go.
    """

    def __init__(self, scheduler: Scheduler, recorder: Recorder) -> None:
        self.recorder = recorder
        self._arrivals = Arrivals(recorder, extract.served(scheduler.vllm_config).model)
        self._now = time.monotonic_ns
        self._sampled_per_step: int = getattr(scheduler, "num_sampled_tokens_per_step", 1)
        self._free, self._blocks = extract.blocks(scheduler)
        self._waiting = extract.counter(scheduler.waiting)
        self._holding = extract.counter(scheduler.kv_holding_waiting)
        self._accounts: dict[str, Account] = {}
        self._unsettled: set[str] = set()  # members whose next step will not simply decode
        self._flights: dict[int, Flight] = {}  # in the order in which they were scheduled
        self._ids: list[str] = []
        self._indices: list[int] = []
        self._phase = b""
        self._updating = False
        self._landing: Flight | None = None
        self._landed_ns = MonotonicNs(0)
        self._sampled: list[int] = []
        self._ended: dict[str, tuple[Account, CoreRequest]] = {}
        swallowed = recorder.journal.count_swallowed
        self._guard = Guard("vllm.core.request", swallowed)
        self._guard_schedule = Guard("vllm.core.schedule", swallowed)
        self._guard_update = Guard("vllm.core.update", swallowed)

    # The queue.

    def arrived(self, arriving: ArrivingRequest, request: CoreRequest, *, tracing: bool) -> None:
        """A request has come from the API server. See `Arrivals.arrived`.

        Called in the thread that takes requests in. What a streaming-input session sends after its
        first input is no request.
        """
        with self._guard:
            if not self.knows(request) and not self._arrivals.expects(request.request_id):
                self._arrivals.arrived(arriving, request, tracing=tracing)

    def knows(self, request: CoreRequest) -> bool:
        """Whether a request's id is in the scheduler."""
        return getattr(request, "request_id", None) in self._accounts

    def queued(self, request: CoreRequest) -> None:
        """A request entered the scheduler's queue."""
        with self._guard:
            account = self._accounts[request.request_id] = self._arrivals.account(request)
            account.handle.queued()

    # A step is scheduled.

    def scheduled(self, scheduler: Scheduler, batch: Batch) -> None:
        """The scheduler made a batch. One without tokens is no step."""
        try:
            tokens_of = batch.num_scheduled_tokens
            if not tokens_of:
                return
            cached = batch.scheduled_cached_reqs
            drafts = batch.scheduled_spec_decode_tokens
            if self._unsettled or drafts or batch.scheduled_new_reqs or cached.resumed_req_ids:
                self._schedule_mixed(scheduler, batch)
                return
            ids = cached.req_ids
            if ids != self._ids:
                self._settle(scheduler, ids)
            tokens = list(tokens_of.values())
            seq = self.recorder.step_scheduled(
                request_index=self._indices,
                phase=self._phase,
                tokens=tokens,
                context=cached.num_computed_tokens,
                running=len(scheduler.running),
                waiting=self._waiting() + self._holding(),
                kv_used=self._blocks - self._free.num_free_blocks,
                kv_total=self._blocks,
            )
            self._flights[seq] = Flight(seq, ids, tokens)
            producer = self.recorder.journal.producer
            batch.otel_llm_step = (producer.instance_id, producer.dp_rank, seq)
        except Exception as error:  # noqa: BLE001  see `Guard`: this hook is in every step
            self._guard_schedule.swallow(error)

    def _schedule_mixed(self, scheduler: Scheduler, batch: Batch) -> None:
        """A batch with members that do something else than decode one token."""
        now = MonotonicNs(self._now())
        cached, new = batch.scheduled_cached_reqs, batch.scheduled_new_reqs
        ids = cached.req_ids + [one.req_id for one in new]
        context = cached.num_computed_tokens + [one.num_computed_tokens for one in new]
        tokens = [batch.num_scheduled_tokens[one] for one in ids]
        if ids != self._ids:
            self._settle(scheduler, ids)
        flight = Flight(0, ids, tokens, own={}, first={})
        phase = bytearray(self._phase)
        for place in self._special(ids, len(cached.req_ids), cached.resumed_req_ids):
            account = self._accounts[ids[place]]
            placed = account.place(context[place], context[place] + tokens[place], now)
            flight.own[place] = placed.own
            if placed.prefill:
                phase[place] = PHASE_PREFILL
            if not account.has_token:
                flight.first[place] = account
            if placed.settled:
                self._unsettled.discard(ids[place])
            else:
                self._unsettled.add(ids[place])
        speculative = batch.scheduled_spec_decode_tokens
        if speculative:
            flight.drafts = [len(speculative.get(one, ())) for one in ids]
        flight.seq = self.recorder.step_scheduled(
            request_index=self._indices,
            phase=bytes(phase),
            tokens=tokens,
            context=context,
            running=len(scheduler.running),
            waiting=self._waiting() + self._holding(),
            kv_used=self._blocks - self._free.num_free_blocks,
            kv_total=self._blocks,
            drafts=flight.drafts,
            at_ns=now,
        )
        self._flights[flight.seq] = flight
        producer = self.recorder.journal.producer
        batch.otel_llm_step = (producer.instance_id, producer.dp_rank, flight.seq)

    def _settle(self, scheduler: Scheduler, ids: list[str]) -> None:
        """Look up the members of a batch that is not the last one's."""
        accounts = self._accounts
        for one in ids:
            if one not in accounts:  # its hook failed when it was queued
                self.queued(scheduler.requests[one])
        self._indices = [accounts[one].index for one in ids]
        self._phase = _DECODE * len(ids)
        self._ids = ids

    def _special(self, ids: list[str], cached: int, resumed: Collection[str]) -> list[int]:
        """Places of members that prefill or come back; those from `cached` on are new."""
        old = [ids.index(one) for one in self._unsettled.union(resumed) if one in ids]
        return [place for place in old if place < cached] + list(range(cached, len(ids)))

    # Its result is in.

    def update_begins(self, batch: Batch, result: Result) -> None:
        """The scheduler is about to take in a step's result."""
        try:
            self._updating = True
            self._landed_ns = MonotonicNs(self._now())
            step = getattr(batch, "otel_llm_step", None)
            if step is None:  # it had no tokens
                self._landing = None
                return
            flight = self._landing = self._flights.pop(step[2], None)
            if flight is not None and flight.drafts is not None:
                # The scheduler shortens these lists at a stop token.
                self._sampled = extract.emitted(flight.ids, result)
        except Exception as error:  # noqa: BLE001  see `Guard`: this hook is in every step
            self._guard_update.swallow(error)

    def update_ends(self, result: Result) -> None:
        """The scheduler has taken it in."""
        flight, self._landing = self._landing, None
        self._updating = False
        try:
            gained: Sequence[int] = ()
            if flight is not None:
                gained = self._land(flight, result)
            if self._ended:
                self._report(flight, gained)
        except Exception as error:  # noqa: BLE001  see `Guard`: this hook is in every step
            self._guard_update.swallow(error)

    def update_failed(self) -> None:
        """The scheduler raised. The step has no result."""
        self._landing = None
        self._updating = False
        with self._guard_update:
            self._report(None, ())

    def _land(self, flight: Flight, result: Result) -> list[int]:
        """Record a result. Returns the output tokens that each member gained by it."""
        gained = list(map(len, result.sampled_token_ids))
        size = len(flight.ids)
        if gained.count(1) != size or len(gained) != size:  # else their order does not matter
            gained = extract.emitted(flight.ids, result)
        for place in flight.gone:
            gained[place] = 0
        for place, account in flight.dropped.items():
            gained[place] = 0
            account.discarded += flight.worth(place)
        accepted = None if flight.drafts is None else self._judge(flight, flight.drafts, gained)
        for place, account in flight.first.items():
            if gained[place]:
                account.has_token = True
                account.handle.first_token(self._landed_ns)
        stats = result.cudagraph_stats
        mode = "" if stats is None else str(stats.runtime_mode)
        self.recorder.step_done(flight.seq, gained, None, self._landed_ns, accepted, mode)
        return gained

    def _judge(self, flight: Flight, drafts: list[int], gained: list[int]) -> list[int]:
        """Count the drafts of a result. Returns how many of each member were accepted."""
        accepted = [0] * len(drafts)
        for place, proposed in enumerate(drafts):
            sampled = self._sampled[place]
            if not proposed or place in flight.gone or place in flight.dropped:
                continue
            if not sampled and self._sampled_per_step:
                continue  # vLLM goes on as if it had kept them
            one = flight.ids[place]
            account = self._accounts.get(one) or self._ended[one][0]
            accepted[place] = max(0, sampled - self._sampled_per_step)
            rejected = proposed - accepted[place]
            account.rejected += rejected
            account.discarded += sampled - gained[place]
            if place in flight.stale:
                account.lowered(rejected)
        return accepted

    # What happens to a request in between.

    def preempted(self, request: CoreRequest, computed: int) -> None:
        """A request lost its place in the batch.

        Args:
            request: as it stands now.
            computed: its `num_computed_tokens` before.
        """
        with self._guard:
            one = request.request_id
            account = self._accounts[one]
            self._unsettled.discard(one)
            account.preempted(computed, self._stale(request, account))

    def _stale(self, request: CoreRequest, account: Account) -> int:
        """Mark what it has in flight. Returns what of that is worth an output token no longer."""
        dropped = 0
        for flight in self._flights.values():
            place = flight.place(request.request_id)
            if place is None or place in flight.dropped:
                continue
            if request.drop_stale_output:
                dropped += flight.drop(place, account)
            else:
                flight.stale |= {place}
        return dropped

    def computed(self, scheduler: Scheduler) -> dict[str, int]:
        """`num_computed_tokens` of the running requests, by request id."""
        with self._guard:
            return {one.request_id: one.num_computed_tokens for one in scheduler.running}
        return {}

    def load_failed(self, request_ids: Collection[str], computed: Mapping[str, int]) -> None:
        """Blocks that members of the landing step took from elsewhere did not arrive.

        Args:
            request_ids: whose result is thrown away.
            computed: what `computed` told before.
        """
        with self._guard:
            flight = self._landing
            if flight is None:
                return
            for one in request_ids:
                place = flight.place(one)
                if place is not None:
                    account = self._accounts[one]
                    account.rolled_back(computed[one], flight.drop(place, account))
                    self._unsettled.add(one)

    def freed(self, request: CoreRequest) -> None:
        """A request ended, in an update or, by an abort, between two."""
        with self._guard:
            one = request.request_id
            account = self._accounts.pop(one, None)
            if account is None:
                return
            self._unsettled.discard(one)
            for flight in self._flights.values():
                place = flight.place(one)
                if place is not None:
                    account.discarded += flight.lose(place)
            self._ended[one] = (account, request)
            if not self._updating:
                self._report(None, ())

    def _report(self, flight: Flight | None, gained: Sequence[int]) -> None:
        """Write the ends that have come up, behind the result that brought them."""
        ended, self._ended = self._ended, {}
        for one, (account, request) in ended.items():
            place = None if flight is None else flight.place(one)
            last = self._landed_ns if place is not None and gained[place] else None
            account.report()
            account.handle.finished(
                **extract.end(request),
                last_token_ns=last,
                unscheduled_tokens=account.unscheduled(request.num_computed_tokens),
            )
