import os
import signal
import subprocess
import sys

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
