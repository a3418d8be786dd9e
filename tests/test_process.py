import os
import subprocess
import sys

from medfit import process


def test_this_process_runs():
    assert process.state(process.identity()) == "runs"


def test_the_name_tells_nothing_of_the_machine_but_a_hash():
    where, pid, _ = process.identity().split("/")
    assert len(where) == 12 and int(pid) == os.getpid()
    assert os.uname().nodename not in process.identity()


def test_a_process_that_ended_is_gone():
    code = "from medfit.process import identity; print(identity())"
    name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert process.state(name) == "gone"


def test_a_killed_process_is_gone_even_before_its_parent_asks_for_it():
    code = "from medfit.process import identity; print(identity(), flush=True); input()"
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
