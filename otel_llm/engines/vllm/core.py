"""What one scheduler of vLLM's engine core does, as facts.

The hooks call `Core` from the scheduler's thread. A step that only decodes, with the members of the
step before, costs no loop over its members; members that prefill, come back or speculate are looked
at one by one. Step records are written here and not through `Recorder`'s methods, whose checks
would cost as much again as these hooks.

Two kinds of requests have accounts that do not add up, and say nothing wrong otherwise. A
streaming-input session is one request, with the prompt of its first input; later inputs count as if
they had been generated. A diffusion model makes no token of the prompt, so one more is scheduled
for each request than its account has.
"""

import itertools
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import cast

from otel_llm.clock import MonotonicNs
from otel_llm.engines.vllm import extract
from otel_llm.engines.vllm.accounts import Account
from otel_llm.engines.vllm.core_arrivals import Arrivals
from otel_llm.engines.vllm.core_flight import Flight
from otel_llm.engines.vllm.core_host import ArrivingRequest, Batch, CoreRequest, Result, Scheduler
from otel_llm.engines.vllm.core_last import LastTokens
from otel_llm.engines.vllm.core_members import Members
from otel_llm.facts.step import StepDone, StepScheduled
from otel_llm.isolation import Guard
from otel_llm.recorder import Recorder

MOST_IN_FLIGHT = 64
"""Steps whose result may be out. VLLM has at most one per stage of its pipeline, or two."""

_now = cast("Callable[[], MonotonicNs]", time.monotonic_ns)


class Core:
    """Follows one scheduler.

    Args:
        scheduler: vLLM's, just made. It is not kept.
        recorder: where the facts go.
    """

    def __init__(self, scheduler: Scheduler, recorder: Recorder) -> None:
        self.recorder = recorder
        self._journal = recorder.journal
        self._write = recorder.journal.write
        self._numbers = itertools.count(1)
        self._arrivals = Arrivals(recorder, extract.served(scheduler.vllm_config).model)
        self._members = Members(self._arrivals.account)
        self._per_step: int = getattr(scheduler, "num_sampled_tokens_per_step", 1)
        self._free, self._blocks = extract.blocks(scheduler)
        self._waiting = extract.counter(scheduler.waiting)
        self._holding = extract.counter(scheduler.kv_holding_waiting)
        # By the step's whole identity: after an undo a batch of an earlier `Core` may come in.
        self._flights: dict[tuple[str, int, int], Flight] = {}  # in order of scheduling
        self._last = LastTokens()
        self._landing: Flight | None = None
        self._landed_ns = MonotonicNs(0)
        self._ended: dict[str, tuple[Account, CoreRequest]] = {}
        swallowed = recorder.journal.count_swallowed
        self._guard = Guard("vllm.core.request", swallowed)
        self._guard_schedule = Guard("vllm.core.schedule", swallowed)
        self._guard_update = Guard("vllm.core.update", swallowed)

    def scheduled(self, scheduler: Scheduler, batch: Batch) -> None:
        """The scheduler made a batch. One without tokens is no step."""
        try:
            tokens_of = batch.num_scheduled_tokens
            if not tokens_of:
                return
            now = _now()
            members = self._members
            cached = batch.scheduled_cached_reqs
            ids = cached.req_ids
            if (
                members.unsettled
                or batch.scheduled_new_reqs
                or batch.scheduled_spec_decode_tokens
                or cached.resumed_req_ids
            ):
                flight, phase, context = members.look(batch, scheduler.requests, now)
                short = False
            else:
                if ids != members.ids:
                    members.settle(ids, scheduler.requests)
                phase, context = members.phase, cached.num_computed_tokens
                short = batch.total_num_scheduled_tokens == len(ids)
                tokens = members.ones if short else list(tokens_of.values())
                flight = Flight(0, members.ids, tokens)
            flight.seq = seq = next(self._numbers)
            producer = self._journal.producer
            batch.otel_llm_step = step = (producer.instance_id, producer.dp_rank, seq)
            self._flights[step] = flight
            self._write(
                StepScheduled(
                    seq, now, members.indices,
                    b"" if short else phase, [] if short else flight.tokens, context,
                    len(scheduler.running), self._waiting() + self._holding(),
                    self._blocks - self._free.num_free_blocks, self._blocks,
                    flight.drafts or [], short,
                ),
                now,
            )  # fmt: skip
            if len(self._flights) > MOST_IN_FLIGHT:
                self._lapse()
        except Exception as error:  # noqa: BLE001  see `Guard`: this hook is in every step
            self._guard_schedule.swallow(error)

    def update_begins(self, batch: Batch, result: Result) -> None:
        """The scheduler is about to take in the result of a batch."""
        try:
            step = batch.otel_llm_step
        except AttributeError:  # it had no tokens, and was no step
            return
        try:
            self._landed_ns = _now()
            self._landing = flight = self._flights.pop(step, None)
            if flight is not None and flight.drafts is not None:
                # The scheduler shortens these lists at a stop token.
                flight.sampled = extract.sampled(flight.ids, result)
        except Exception as error:  # noqa: BLE001  see `Guard`: this hook is in every step
            self._guard_update.swallow(error)

    def update_ends(self, result: Result) -> None:
        """The scheduler has taken it in."""
        flight = self._landing
        if flight is None:
            return
        self._landing = None
        try:
            gained = list(map(len, result.sampled_token_ids))
            ones = len(flight.ids)
            if gained.count(1) != ones or len(gained) != ones:  # else their order does not matter
                gained = extract.sampled(flight.ids, result)
                ones = 0
            if flight.gone or flight.dropped:
                flight.strike(gained)
                ones = 0
            accepted = self._judge(flight, gained) if flight.drafts is not None else []
            if flight.first:
                self._first_tokens(flight.first, gained)
            stats = result.cudagraph_stats
            mode = "" if stats is None else str(stats.runtime_mode)
            landed = self._landed_ns
            emitted = [] if ones else gained
            self._write(StepDone(flight.seq, landed, emitted, None, accepted, mode, ones), landed)
            self._last.landed(flight.ids, gained, landed)
            if self._ended:
                self._report()
        except Exception as error:  # noqa: BLE001  see `Guard`: this hook is in every step
            self._guard_update.swallow(error)

    def update_failed(self) -> None:
        """The scheduler raised. The step has no result."""
        self._landing = None
        with self._guard_update:
            self._report()

    def _lapse(self) -> None:
        """Give up the oldest step in flight, whose result is not coming any more.

        VLLM's fault tolerance throws batches away. What such a step was worth to members that live
        on is discarded; one without a token is looked at again, as its first is still to come.
        """
        flight = self._flights.pop(next(iter(self._flights)))
        for place, one in enumerate(flight.ids):
            account = None if place in flight.gone else self._members.accounts.get(one)
            if account is not None:
                account.discarded += flight.worth(place)
                if not account.has_token:
                    self._members.unsettled.add(one)

    def _judge(self, flight: Flight, gained: list[int]) -> list[int]:
        """Count the drafts of a result. Returns how many of each member were accepted."""
        accepted = [0] * len(gained)
        for place, kept, rejected in flight.judged(self._per_step):
            one = flight.ids[place]
            account = self._members.accounts.get(one) or self._ended[one][0]
            accepted[place] = kept
            account.rejected += rejected
            account.discarded += kept + self._per_step - gained[place]
            if place in flight.stale:
                account.lowered(rejected)
        return accepted

    def _first_tokens(self, first: Mapping[int, Account], gained: Sequence[int]) -> None:
        for place, account in first.items():
            if gained[place]:
                account.has_token = True
                account.handle.first_token(self._landed_ns)

    # What happens to a request in between.

    def arrived(self, arriving: ArrivingRequest, request: CoreRequest, *, tracing: bool) -> None:
        """A request has come from the API server. See `Arrivals.arrived`.

        Called in the thread that takes requests in. What a streaming-input session sends after its
        first input is no request.
        """
        with self._guard:
            if not self.knows(request) and not self._arrivals.expects(request.request_id):
                self._arrivals.arrived(arriving, request, tracing=tracing)

    def refused(self, request_ids: Collection[str], reason: str) -> None:
        """The engine core ends requests by itself. See `Arrivals.refused`."""
        with self._guard:
            for one in request_ids:
                self._arrivals.refused(one, reason)

    def knows(self, request: CoreRequest) -> bool:
        """Whether a request's id is in the scheduler."""
        with self._guard:
            return getattr(request, "request_id", None) in self._members.accounts
        return True

    def queued(self, request: CoreRequest, *, tracing: bool) -> None:
        """A request entered the scheduler's queue.

        One that was refused before has its end: it is in there only so that a KV connector frees
        what it holds for it.
        """
        with self._guard:
            if self._arrivals.was_refused(request.request_id):
                return
            account = self._arrivals.account(request, tracing=tracing)
            self._members.accounts[request.request_id] = account
            account.handle.queued()

    def preempted(self, request: CoreRequest, computed: int) -> None:
        """A request lost its place in the batch.

        Args:
            request: as it stands now.
            computed: its `num_computed_tokens` before.
        """
        with self._guard:
            one = request.request_id
            account = self._members.accounts[one]
            self._members.unsettled.discard(one)
            account.preempted(computed, self._stale(request, account))

    def _stale(self, request: CoreRequest, account: Account) -> int:
        """Mark what it has in flight. Returns what of that is worth an output token no longer."""
        dropped = 0
        for flight in self._flights.values():
            place = flight.place(request.request_id)
            if place is None or place in (flight.dropped or ()):
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
                    account = self._members.accounts[one]
                    account.rolled_back(computed[one], flight.drop(place, account))
                    self._members.unsettled.add(one)

    def freed(self, request: CoreRequest) -> None:
        """A request ended, in an update or, by an abort, between two."""
        with self._guard:
            one = request.request_id
            account = self._members.accounts.pop(one, None)
            if account is None:
                self._arrivals.forget(one)
                return
            self._members.left(one)
            for flight in self._flights.values():
                place = flight.place(one)
                if place is not None:
                    account.discarded += flight.lose(place)
            self._ended[one] = (account, request)
            if self._landing is None:
                self._report()

    def _report(self) -> None:
        """Write the ends that have come up, behind the result that brought them."""
        ended, self._ended = self._ended, {}
        for one, (account, request) in ended.items():
            with self._guard:  # one that cannot be read must not cost the others their ends
                account.report()
                account.handle.finished(
                    **extract.end(request),
                    last_token_ns=self._last.take(one),
                    unscheduled_tokens=account.unscheduled(request.num_computed_tokens),
                )
