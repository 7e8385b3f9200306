"""What a process does to a login: spawn, shutdown, atexit, gevent. Each in an interpreter of its own."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from typing import Any

import pytest

from notary_auth.sandbox import Sandbox

from .clients import CLIENTS
from .paths import LOGIN, ROOT
from .waiting import until

without_niquests_on_3_12 = pytest.mark.skipif(
    find_spec("niquests") is not None and sys.version_info[:2] == (3, 12),
    reason="its fork of urllib3 starts threads, which Python 3.12 refuses after the main thread has ended",
)

PREFACE = """
import asyncio, atexit, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell has it ignored
import httpx, requests, trio
import notary_auth.httpx, notary_auth.requests

cloud = sys.argv[1]
files = cloud + "/api/notary/v2/stored-files"
account = notary_auth.Account("JohnSmith", "qwe123QWE", cloud_url=cloud)
auth = notary_auth.requests.NotaryAuth.from_account(account)
httpx_auth = notary_auth.httpx.NotaryAuth.from_account(account)

async def get():
    async with httpx.AsyncClient(auth=httpx_auth, verify=False) as client:
        return (await client.get(files)).status_code

def until_told():
    sys.stdin.read()
"""

Process = subprocess.Popen[str]


def run_program(
    program: str, notary: Sandbox, preface: str = PREFACE, *, first: Callable[[Process], None] | None = None
) -> str:
    """What `program` prints. It must end by itself, in order, and complain about nothing.

    Args:
        first: done when it has been started, and before its `until_told` returns.
    """
    command = [sys.executable, "-W", "error", "-c", preface + textwrap.dedent(program), notary.url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT) as process:
        try:
            if first is not None:
                first(process)
            shown, complaints = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, complaints) == (0, "")
    return shown.strip()


def login_pending(notary: Sandbox) -> Callable[[Process], None]:
    """Returns when the program's login has arrived at the sandbox."""

    def wait(process: Process) -> None:
        until(lambda: LOGIN in notary.pending or process.poll() is not None)

    return wait


def _get_in_child(index: int, auth: Any, url: str) -> int:
    return int(CLIENTS[index].get(url, auth).status_code)


def test_rule_21_a_spawned_process_logs_in_with_a_pickled_auth(notary: Sandbox, files: str) -> None:
    context = multiprocessing.get_context("spawn")
    auths = [client.auth(notary) for client in CLIENTS]
    for client, auth in zip(CLIENTS, auths, strict=True):
        client.get(files, auth)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        indexes = range(len(CLIENTS))
        assert list(pool.map(_get_in_child, indexes, auths, [files] * len(CLIENTS))) == [200] * len(CLIENTS)
    assert notary.count("login") == 2 * len(CLIENTS), "one of the parent and one of the child, each"


SHUTDOWNS = {
    "daemon thread of requests": """
        threading.Thread(target=requests.get, args=(files,), kwargs={"auth": auth}, daemon=True).start()
        until_told()
    """,
    "daemon thread of asyncio": """
        threading.Thread(target=lambda: asyncio.run(get()), daemon=True).start()
        until_told()
    """,
    "daemon thread of trio": """
        threading.Thread(target=lambda: trio.run(get), daemon=True).start()
        until_told()
    """,
    "daemon threads that wait": """
        for _ in range(5):
            threading.Thread(target=requests.get, args=(files,), kwargs={"auth": auth}, daemon=True).start()
        threading.Thread(target=lambda: asyncio.run(get()), daemon=True).start()
        until_told()
        time.sleep(0.1)
    """,
    "task left behind": """
        async def main():
            global left
            left = asyncio.create_task(get())
            await asyncio.to_thread(until_told)
        asyncio.run(main())
    """,
}


def trio_in_the_matrix(programs: Iterable[str]) -> list[Any]:
    """Programs as the parameters of a test: those that are about trio are the matrix's."""
    return [pytest.param(each, marks=pytest.mark.matrix if "trio" in each else []) for each in programs]


@pytest.mark.parametrize("name", trio_in_the_matrix(SHUTDOWNS))
def test_an_interpreter_shuts_down_with_a_login_under_way(notary: Sandbox, name: str) -> None:
    notary.faults.held.add(LOGIN)
    assert run_program(SHUTDOWNS[name], notary, first=login_pending(notary)) == ""


@without_niquests_on_3_12
def test_a_thread_finishes_its_login_after_the_main_thread_has_ended(notary: Sandbox) -> None:
    notary.faults.latency_of[LOGIN] = 0.3
    program = """
        def work(call):
            print(f"{call()} ", end="", flush=True)  # in one piece, or the lines of two threads could mix
        for call in (lambda: requests.get(files, auth=auth).status_code,
                     lambda: httpx.get(files, auth=httpx_auth, verify=False).status_code):
            threading.Thread(target=work, args=(call,)).start()
        until_told()
    """
    assert run_program(program, notary, first=login_pending(notary)).split() == ["200", "200"]
    assert notary.count("login") == 1


@without_niquests_on_3_12
def test_the_last_thing_a_program_does_may_be_its_first_request(notary: Sandbox) -> None:
    program = "atexit.register(lambda: print(requests.get(files, auth=auth).status_code))"
    assert run_program(program, notary) == "200"


@pytest.mark.parametrize(
    "call", trio_in_the_matrix(["requests.get(files, auth=auth)", "asyncio.run(get())", "trio.run(get)"])
)
def test_an_interrupt_in_mid_login_ends_a_program(notary: Sandbox, call: str) -> None:
    notary.faults.held.add(LOGIN)
    program = f"""
        from tests import core
        try:
            {call}
        except KeyboardInterrupt:
            print("interrupted", core.current_login(account))
    """

    def interrupt(process: Process) -> None:
        login_pending(notary)(process)
        process.send_signal(signal.SIGINT)

    assert run_program(program, notary, first=interrupt) == "interrupted None"


@pytest.mark.parametrize("call", trio_in_the_matrix(["asyncio.run(tick_and_get())", "trio.run(get)"]))
def test_a_prompt_that_nobody_answers_keeps_no_program_from_ending(notary: Sandbox, call: str) -> None:
    program = f"""
        def prompt():
            print("Password:", flush=True)
            time.sleep(300)
        httpx_auth = notary_auth.httpx.NotaryAuth("JohnSmith", prompt, cloud_url=cloud)
        async def tick_and_get():
            async def tick():
                while True:  # an asyncio loop that sleeps for good may not notice a signal
                    await asyncio.sleep(0.1)
            ticking = asyncio.create_task(tick())
            return await get()
        try:
            {call}
        except KeyboardInterrupt:
            print("interrupted")
    """

    def interrupt(process: Process) -> None:
        assert process.stdout is not None
        assert process.stdout.readline() == "Password:\n"
        process.send_signal(signal.SIGINT)

    assert run_program(program, notary, first=interrupt) == "interrupted"


GREENLETS = """
        import gevent
        ticks = 0
        def tick():
            global ticks
            while True:
                ticks += 1
                gevent.sleep(0.01)
        ticking = gevent.spawn(tick)
        def ask():
            answers = requests.get(files, auth=auth), httpx.get(files, auth=httpx_auth, verify=False)
            return tuple(answer.status_code for answer in answers)
        jobs = [gevent.spawn(ask) for _ in range(20)]
        gevent.joinall(jobs, timeout=30)
        print(set(job.value for job in jobs), ticks > 10)
"""


def test_greenlets_of_a_patched_program_share_one_login_and_do_not_block(notary: Sandbox) -> None:
    notary.faults.latency_of[LOGIN] = 0.3
    # Without trio, which httpcore imports if there: its oldest version wants the epoll that gevent takes away.
    preface = "import sys\nsys.modules['trio'] = None\nfrom gevent import monkey\nmonkey.patch_all()\n"
    preface += PREFACE.replace(", trio", "")
    assert run_program(GREENLETS, notary, preface) == "{(200, 200)} True"
    assert notary.count("login") == 1


@pytest.mark.matrix
def test_greenlets_of_an_unpatched_program_share_one_login_one_after_the_other(notary: Sandbox) -> None:
    notary.faults.latency_of[LOGIN] = 0.3
    assert run_program(GREENLETS, notary).startswith("{(200, 200)}")
    assert notary.count("login") == 1


def test_greenlets_that_take_turns_in_mid_login_do_not_wait_for_their_own_thread(notary: Sandbox) -> None:
    """Without patches, and with a password callable that lets others run: they cannot wait, and log in."""
    program = """
        import gevent
        def password():
            gevent.sleep(0.1)
            return "qwe123QWE"
        slow = notary_auth.requests.NotaryAuth("JohnSmith", password, cloud_url=cloud)
        jobs = [gevent.spawn(lambda: requests.get(files, auth=slow).status_code) for _ in range(3)]
        gevent.joinall(jobs, timeout=30)
        print([job.value for job in jobs])
    """
    assert run_program(program, notary) == "[200, 200, 200]"
    assert notary.count("login") <= 3


SUSPENDED_AT_EXIT = """
import sys
from notary_auth import Account
from notary_auth.adapter import Call, SendControl, perform
from notary_auth.stores import MemoryStore

url, password = sys.argv[1:]
account = Account("JohnSmith", password, cloud_url=url, store=MemoryStore())
steps = account.sign(url + "/api/notary/v2/stored-files")
step = next(steps)
while not isinstance(step, SendControl):
    step = steps.send(perform(step))
sys.modules["suspended"] = steps  # closed when the interpreter clears its modules
print("ends")
"""


def test_a_login_that_is_suspended_at_the_interpreters_exit_does_not_hang_it(notary: Sandbox) -> None:
    """It holds a store's lock, and before Python 3.12 a thread that is started there never begins."""
    done = subprocess.run(
        [sys.executable, "-c", SUSPENDED_AT_EXIT, notary.url, notary.password],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "ends\n"), done.stderr


AT_EXIT = """
import asyncio, atexit, sys
import httpx
from notary_auth.httpx import NotaryAuth

url, password = sys.argv[1:]

async def flush(source, count):
    auth = NotaryAuth("JohnSmith", source, cloud_url=url)
    async with httpx.AsyncClient(auth=auth, verify=False) as client:
        files = url + "/api/notary/v2/stored-files"
        responses = await asyncio.gather(*(client.get(files) for _ in range(count)))
        print([response.status_code for response in responses])

for source in (password, lambda: password):
    atexit.register(lambda source=source: asyncio.run(flush(source, 3)))
"""


def test_tasks_at_the_interpreters_exit_share_a_login_too(notary: Sandbox) -> None:
    """The main thread does not count as alive there, and no thread can be started for a password function."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", AT_EXIT, notary.url, notary.password],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[200, 200, 200]\n" * 2, "")
    assert notary.count("login") == 2, "one for each of the two"
