"""Flights and the waiting for them: threads, asyncio tasks and trio tasks, without HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
import trio

from notary_auth import LoginError
from notary_auth._flight import Flight, Flights
from notary_auth._steps import UNSIGNED, Call, Forward, Request, Send, Sleep, Wait
from notary_auth._waiting import aperform, current_caller, perform

VERDICT = LoginError("no")


def test_one_flight_is_under_way_at_a_time() -> None:
    flights = Flights()
    first, leads = flights.board(current_caller())
    assert leads
    assert flights.board(current_caller()) == (first, False)
    flights.land(first, verdict=VERDICT)
    assert (first.is_over, first.is_lost, first.verdict) == (True, False, VERDICT)
    second, leads = flights.board(current_caller())
    assert leads
    assert second is not first


def test_a_flight_ends_once() -> None:
    flights = Flights()
    flight, _ = flights.board(current_caller())
    flights.land(flight, lost=True)
    flights.land(flight, verdict=VERDICT)
    assert (flight.is_lost, flight.verdict) == (True, None)
    other, _ = flights.board(current_caller())
    flights.land(flight)
    assert not other.is_over


def test_nobody_waits_for_what_is_over() -> None:
    flights = Flights()
    flight, _ = flights.board(current_caller())
    flights.land(flight)
    assert flight.bell("place", lambda: pytest.fail("no bell is needed")) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("is_async", [False, True])
def test_only_what_is_not_http_is_performed(is_async: bool) -> None:
    for step in (Send(Request("GET", "https://x", {})), Forward(UNSIGNED)):
        with pytest.raises(TypeError, match="an adapter sends"):
            asyncio.run(aperform(step)) if is_async else perform(step)
        if is_async:
            with pytest.raises(TypeError, match="an adapter sends"):
                trio.run(aperform, step)


def test_sleeps_and_calls_are_performed() -> None:
    for run in (perform, lambda step: asyncio.run(aperform(step)), lambda step: trio.run(aperform, step)):
        started = time.monotonic()
        assert run(Sleep(0.02)) is None
        assert time.monotonic() - started >= 0.02
        assert run(Call(lambda: 42)) == 42


def test_every_kind_of_caller_is_woken() -> None:
    flights = Flights()
    flight: list[Flight] = []
    waiting = threading.Barrier(6)
    woken: list[bool] = []

    async def wait_in_tasks() -> None:
        waiting.wait()
        woken.extend(await asyncio.gather(*(aperform(Wait(flight[0], 30)) for _ in range(5))))

    async def wait_in_trio() -> None:
        async def wait() -> None:
            woken.append(await aperform(Wait(flight[0], 30)))

        waiting.wait()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(wait)

    def wait_in_thread() -> None:
        waiting.wait()
        woken.append(perform(Wait(flight[0], 30)))

    threads = [
        threading.Thread(target=target)
        for target in (
            wait_in_thread,
            wait_in_thread,
            lambda: asyncio.run(wait_in_tasks()),
            lambda: asyncio.run(wait_in_tasks()),
            lambda: trio.run(wait_in_trio),
        )
    ]
    flight.append(flights.board(current_caller())[0])
    for thread in threads:
        thread.start()
    waiting.wait()
    while len(flight[0]._bells) < 4:  # threads, two asyncio loops, one trio run
        time.sleep(0.001)
    started = time.monotonic()
    flights.land(flight[0])
    for thread in threads:
        thread.join()
    assert woken == [True] * 17
    assert time.monotonic() - started < 15, "woken, and not timed out"


def test_waiting_ends_after_its_time() -> None:
    flights = Flights()
    flight, _ = flights.board(current_caller())
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(perform(Wait(flight, 0.05))))
    thread.start()
    thread.join()
    # In this thread a task of another loop leads, for all that is known: tasks may wait, threads may not.
    results.append(asyncio.run(aperform(Wait(flight, 0.05))))
    results.append(trio.run(aperform, Wait(flight, 0.05)))
    assert results == [True, True, True]
    assert perform(Wait(flight, 30)) is False


def test_a_task_does_not_wait_for_itself() -> None:
    async def main() -> bool:
        flight, _ = Flights().board(current_caller())
        return bool(await aperform(Wait(flight, 30)))

    assert asyncio.run(main()) is False
    assert trio.run(main) is False


def test_a_bell_in_a_loop_that_is_closed_is_not_rung() -> None:
    flights = Flights()
    flight, _ = flights.board(current_caller())

    async def give_up(wait: Any) -> None:
        await wait

    for run in (asyncio.run, lambda work: trio.run(lambda: work)):
        run(give_up(aperform(Wait(flight, 0.01))))
    assert len(flight._bells) == 2
    flights.land(flight)
    assert flight.is_over


def test_who_is_calling() -> None:
    caller = current_caller()
    assert caller == (threading.current_thread(), None, None)
    assert not caller.is_gone

    async def in_task() -> Any:
        return current_caller()

    in_asyncio, in_trio = asyncio.run(in_task()), trio.run(in_task)
    assert in_asyncio.loop is not None
    assert in_asyncio.task is not None
    assert in_asyncio.is_gone, "its loop is closed"
    assert in_trio.loop is not None
    assert in_trio.task is not None
    assert not in_trio.is_gone

    async def in_callback() -> Any:
        found: list[Any] = []
        asyncio.get_running_loop().call_soon(lambda: found.append(current_caller()))
        await asyncio.sleep(0)
        return found[0]

    assert asyncio.run(in_callback()).task is None
