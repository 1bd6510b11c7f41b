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
