import os
import signal
import subprocess
import sys
import threading

import pytest

from medfit.tracking import process


def test_this_process_runs():
    assert process.state(process.identity()) == "runs"


def test_the_name_tells_nothing_of_the_machine_but_a_hash():
    where, pid, _ = process.identity().split("/")
    assert len(where) == 12 and int(pid) == os.getpid()
    assert os.uname().nodename not in process.identity()


def test_a_process_that_ended_is_gone():
    code = "from medfit.tracking.process import identity; print(identity())"
    name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert process.state(name) == "gone"


def test_a_killed_process_is_gone_even_before_its_parent_asks_for_it():
    code = "from medfit.tracking.process import identity; print(identity(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        name = child.stdout.readline().strip()
        assert process.state(name) == "runs"
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert process.state(name) == "gone"


def test_a_number_that_another_process_has_now_does_not_count():
    where, pid, _ = process.identity().split("/")
    assert process.state(f"{where}/{pid}/1") == "gone"


def test_another_machines_process_is_elsewhere():
    assert process.state("0123456789ab/1/1") == "elsewhere"


@pytest.fixture
def interrupts():
    """Both signals as a command takes them."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_until_something_short_is_done(interrupts, number):
    done = False
    with pytest.raises(KeyboardInterrupt), process.uninterrupted():
        signal.raise_signal(number)
        done = True
    assert done
    assert signal.getsignal(number) is signal.default_int_handler


def test_an_error_of_what_is_done_is_told_if_nothing_interrupts():
    with pytest.raises(ValueError, match="its own"), process.uninterrupted():
        raise ValueError("its own")


def test_what_another_thread_does_leaves_signals_alone(interrupts):
    found = []

    def look():
        with process.uninterrupted():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
