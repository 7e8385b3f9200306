"""Logins and the waiting for them: threads, asyncio tasks and trio tasks, without HTTP."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any

import anyio
import pytest
import trio

from notary_auth import Account, CredentialsRefused, LoginError
from tests.core import (
    Call,
    ControlRequest,
    Conversation,
    Drain,
    Login,
    SendControl,
    SingleFlight,
    Sleep,
    ThreadWaker,
    WaitForLogin,
    aperform,
    begin,
    clock_of,
    current_caller,
    current_login,
    found,
    logins_led_in,
    new_account,
    new_single_flight,
    perform,
    places_that_wait,
    refused,
    tasks_that_wait,
)

ERROR = LoginError("no")

context: ContextVar[str] = ContextVar("context", default="")


def start(single_flight: SingleFlight) -> Login:
    login = Login(current_caller())
    assert single_flight.try_start(login) is None
    return login


def trio_run(coroutine: Any) -> Any:
    return trio.run(lambda: coroutine)


def test_one_login_is_under_way_at_a_time() -> None:
    single_flight = new_single_flight()
    first, second = Login(current_caller()), Login(current_caller())
    assert single_flight.try_start(first) is None
    assert single_flight.try_start(second) is first
    single_flight.finish(first, error=ERROR)
    assert (first.is_over, first.is_lost, first.error) == (True, False, ERROR)
    assert single_flight.try_start(second) is None


def test_a_login_ends_once() -> None:
    single_flight = new_single_flight()
    login = start(single_flight)
    single_flight.finish(login, is_lost=True)
    single_flight.finish(login, error=ERROR)
    assert (login.is_lost, login.error) == (True, None)
    other = start(single_flight)
    single_flight.finish(login)
    assert not other.is_over


def test_a_login_ends_wherever_it_is() -> None:
    """After an interrupt, or in a forked child, it may be on no runway: nobody must wait for it for ever."""
    single_flight = new_single_flight()
    login = Login(current_caller())
    single_flight.finish(login, is_lost=True)
    assert (login.is_over, login.is_lost) == (True, True)
    ended = start(single_flight)
    ended.end(None, is_lost=True)  # and an interrupt, before it was taken from the runway
    assert start(single_flight) is not ended


def test_nobody_waits_for_what_is_over() -> None:
    single_flight = new_single_flight()
    login = start(single_flight)
    single_flight.finish(login)
    assert login.waker("place", ThreadWaker) is None


@pytest.mark.parametrize("is_async", [False, True])
def test_only_what_is_not_http_is_performed(is_async: bool) -> None:
    for step in (SendControl(ControlRequest("GET", "https://x", {})), Drain()):
        with pytest.raises(TypeError, match="an adapter sends and drains by itself"):
            asyncio.run(aperform(step)) if is_async else perform(step)
        if is_async:
            with pytest.raises(TypeError, match="an adapter sends and drains by itself"):
                trio.run(aperform, step)


def test_sleeps_and_calls_are_performed() -> None:
    for run in (perform, lambda step: asyncio.run(aperform(step)), lambda step: trio.run(aperform, step)):
        started = time.monotonic()
        assert run(Sleep(0.02)) is None
        assert time.monotonic() - started >= 0.02
        assert run(Call(lambda: 42)) == 42


def test_every_kind_of_caller_is_woken() -> None:
    single_flight = new_single_flight()
    login: list[Login] = []
    waiting = threading.Barrier(6)
    woken: list[bool] = []

    async def wait_in_tasks() -> None:
        waiting.wait()
        woken.extend(await asyncio.gather(*(aperform(WaitForLogin(login[0], 30)) for _ in range(5))))

    async def wait_in_trio() -> None:
        async def wait() -> None:
            woken.append(await aperform(WaitForLogin(login[0], 30)))

        waiting.wait()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(wait)

    def wait_in_thread() -> None:
        waiting.wait()
        woken.append(perform(WaitForLogin(login[0], 30)))

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
    login.append(start(single_flight))
    for thread in threads:
        thread.start()
    waiting.wait()
    while places_that_wait(login[0]) < 4:  # threads, two asyncio loops, one trio run
        time.sleep(0.001)
    started = time.monotonic()
    single_flight.finish(login[0])
    for thread in threads:
        thread.join()
    assert woken == [True] * 17
    assert time.monotonic() - started < 15, "woken, and not timed out"


def test_waiting_ends_after_its_time() -> None:
    single_flight = new_single_flight()
    login = start(single_flight)
    results: list[bool] = []
    started = time.monotonic()
    thread = threading.Thread(target=lambda: results.append(perform(WaitForLogin(login, 0.05))))
    thread.start()
    thread.join()
    results.append(elsewhere(asyncio.run, aperform(WaitForLogin(login, 0.05))))
    results.append(elsewhere(trio.run, aperform, WaitForLogin(login, 0.05)))
    assert results == [True, True, True]
    assert time.monotonic() - started >= 0.15, "each has waited"


def test_nobody_waits_in_the_thread_that_the_leader_goes_on_in() -> None:
    login = start(new_single_flight())
    assert perform(WaitForLogin(login, 30)) is False
    assert asyncio.run(aperform(WaitForLogin(login, 30))) is False
    assert trio.run(aperform, WaitForLogin(login, 30)) is False


def elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in another thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function, *arguments).result()


@pytest.mark.parametrize("run", [asyncio.run, trio_run])
def test_waiting_ends_each_time_however_many_wait_and_whenever_they_began(run: Any) -> None:
    """The tasks of an asyncio loop share one timer, which is set anew when there is somebody to wake again."""
    login = Login(current_caller())
    looks: list[int] = []

    async def wait(task: int) -> None:
        for _ in range(3):
            await aperform(WaitForLogin(login, 0.05))
            looks.append(task)

    async def main() -> None:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for task in range(3):
                    tasks.start_soon(wait, task)
                    await anyio.sleep(0.02)

    run(main())
    assert sorted(looks) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_tasks_that_are_cancelled_leave_no_timer_behind() -> None:
    async def main() -> list[Any]:
        login = Login(current_caller())
        tasks = [asyncio.create_task(aperform(WaitForLogin(login, 1000))) for _ in range(3)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        loop: Any = asyncio.get_running_loop()
        return [timer for timer in loop._scheduled if not timer.cancelled()]

    assert asyncio.run(main()) == []


def test_nobody_is_woken_in_a_closed_loop() -> None:
    single_flight = new_single_flight()
    login = start(single_flight)

    async def give_up(wait: Any) -> None:
        await wait

    for run in (asyncio.run, lambda work: trio.run(lambda: work)):
        elsewhere(run, give_up(aperform(WaitForLogin(login, 0.01))))
    assert places_that_wait(login) == 2
    single_flight.finish(login)
    assert login.is_over


def test_who_is_calling() -> None:
    caller = current_caller()
    assert caller == (threading.current_thread(), None)
    assert not caller.is_gone

    async def in_task() -> Any:
        return current_caller()

    in_asyncio, in_trio = asyncio.run(in_task()), trio.run(in_task)
    assert in_asyncio.loop is not None
    assert in_asyncio.is_gone, "its loop is closed"
    assert in_trio.loop is not None
    assert not in_trio.is_gone


def test_a_task_that_has_waited_long_enough_is_not_kept() -> None:
    login = start(new_single_flight())
    elsewhere(asyncio.run, _wait_briefly(login))
    assert (places_that_wait(login), tasks_that_wait(login)) == (1, 0)


async def _wait_briefly(login: Login) -> None:
    await aperform(WaitForLogin(login, 0.01))


@pytest.mark.parametrize("run", [asyncio.run, trio_run])
def test_a_call_under_an_event_loop_runs_in_a_thread_with_the_tasks_context(run: Any) -> None:
    async def main() -> tuple[str, threading.Thread]:
        context.set("mine")
        result = await aperform(Call(lambda: (context.get(), threading.current_thread())))
        return result  # type: ignore[no-any-return]

    seen, thread = run(main())
    assert seen == "mine"
    assert thread is not threading.current_thread()
    assert thread.daemon, "keeps no program from ending"


class EndOfProgramError(BaseException):
    pass


@pytest.mark.parametrize("run", [asyncio.run, trio_run])
def test_what_ends_a_program_is_raised_where_a_call_was_waited_for(run: Any) -> None:
    def end() -> None:
        raise EndOfProgramError("now")

    with pytest.raises(EndOfProgramError, match="now"):
        run(aperform(Call(end)))


def test_a_call_does_not_wait_for_the_loops_own_threads() -> None:
    """They may all be waiting for the very login that the call is a part of."""
    blocked = threading.Event()

    async def in_asyncio() -> str:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            loop.set_default_executor(pool)
            waiting = loop.run_in_executor(None, blocked.wait, 30)
            answer = await asyncio.wait_for(aperform(Call(lambda: threading.current_thread().name)), 10)
            blocked.set()
            await waiting
        return answer  # type: ignore[no-any-return]

    assert asyncio.run(in_asyncio()).startswith("notary-auth")

    async def in_trio() -> object:
        limiter = trio.to_thread.current_default_thread_limiter()
        limiter.total_tokens = 1
        await limiter.acquire_on_behalf_of("somebody else")
        with trio.fail_after(10):
            return await aperform(Call(lambda: 42))

    assert trio.run(in_trio) == 42


@pytest.mark.parametrize("run", [asyncio.run, trio_run])
def test_a_task_that_is_cancelled_does_not_wait_for_its_call(run: Any) -> None:
    released = threading.Event()

    async def main() -> bool:
        with anyio.move_on_after(0.05):
            await aperform(Call(lambda: released.wait(30)))
        return released.is_set()

    started = time.monotonic()
    try:
        assert run(main()) is False
        assert time.monotonic() - started < 20
    finally:
        released.set()


def ends_at_line(number: int) -> bool:
    """End a login when a thread that waits for it has come to this line of all it does, in that very thread."""
    single_flight = new_single_flight()
    login = start(single_flight)
    lines = itertools.count()

    def trace(frame: Any, event: str, _: Any) -> Any:
        if event == "line" and next(lines) == number:
            single_flight.finish(login, is_lost=True)
        return trace

    def wait() -> None:
        sys.settrace(trace)
        perform(WaitForLogin(login, 0.2))
        sys.settrace(None)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), f"ended at line {number} of its waiting, and it waits for ever"
    return login.is_over


def test_a_login_may_end_in_the_middle_of_anything_that_a_waiting_thread_does() -> None:
    """The garbage collector may close a forgotten leader's conversation between any two lines of any thread."""
    last = next(number for number in itertools.count() if not ends_at_line(number))
    assert last > 10


def login_of(account: Account) -> Login:
    login = current_login(account)
    assert login is not None
    return login


def test_a_leader_that_fails_with_an_error_is_not_lost() -> None:
    account = new_account()
    leader = begin(account)
    login = login_of(account)
    leader.go_on(found(), refused())
    assert (type(login.error), login.is_lost) == (CredentialsRefused, False)


def test_a_leader_that_is_gone_or_waited_for_too_long_is_a_loss() -> None:
    account = new_account()
    left: list[Conversation] = []
    thread = threading.Thread(target=lambda: left.append(begin(account)))
    thread.start()
    thread.join()
    login = login_of(account)
    next_one = begin(account)
    assert (login.is_over, login.is_lost) == (True, True)
    login = login_of(account)
    late = begin(account)
    clock_of(account).advance(60)
    late.send(True)
    assert (login.is_over, login.is_lost) == (True, True)
    assert login.leader is not None
    next_one.close()


def test_rule_8_a_login_that_ended_in_another_context_is_not_kept_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = new_account()
    context = copy_context()
    first = begin(account, context=context)
    first.steps.close()  # as by the garbage collector, in nobody's context
    second = begin(account, context=context)
    assert isinstance(second.step, SendControl)
    assert len(logins_led_in(context)) == 1


def test_an_awaited_step_needs_an_event_loop() -> None:
    login = Login(current_caller())
    coroutine = aperform(WaitForLogin(login, 30))
    with pytest.raises(RuntimeError, match="no running event loop"):
        coroutine.send(None)
    assert places_that_wait(login) == 0
