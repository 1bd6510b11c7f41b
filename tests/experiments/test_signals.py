import os
import signal
import subprocess
import sys

import pytest

from experiments.signals import Interrupted, Signals


def test_takes_note_and_gives_back():
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with Signals() as signals:
        assert signals.number is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.number == signal.SIGTERM
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    assert str(Interrupted(signal.SIGTERM, 7)) == "SIGTERM after step 7"


def test_a_second_signal_ends_the_process():
    code = (
        "import os, signal\n"
        "from experiments.signals import Signals\n"
        "with Signals() as signals:\n"
        "    assert signals.number is None\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print(signals.number, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('still here')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGINT
    assert done.stdout == f"{int(signal.SIGTERM)}\n"


LOST = """
import gc, os, signal, time
from experiments.signals import ending_at_once

def callback(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(100):
        pass

with ending_at_once(lambda number: os._exit(128 + number)):
    gc.callbacks.append(callback)
    gc.collect()
    gc.callbacks.clear()
    time.sleep(60)
"""


def test_a_signal_in_a_callback_that_cannot_raise_is_not_lost():
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGTERM and done.stderr == ""


STUCK = """
import hashlib, os, signal
from experiments import signals

with signals.ending_at_once(lambda number: os._exit(128 + number)):
    with signals.noting(lambda: signals.say("noted")):
        if {at_once}:
            signal.raise_signal(signal.SIGTERM)
        os.system("(sleep 0.5; kill -TERM " + str(os.getpid()) + ") &")
        # The main thread does not come back to Python, as while it compiles.
        hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000_000)
"""


@pytest.mark.parametrize("at_once", [True, False])
def test_a_note_is_written_also_where_the_main_thread_is_stuck(at_once):
    done = subprocess.run(
        [sys.executable, "-c", STUCK.format(at_once=at_once)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stderr.startswith("noted\n") and done.stderr.count("noted\n") == 1
    assert done.returncode == (1 if at_once else 128 + signal.SIGTERM)
