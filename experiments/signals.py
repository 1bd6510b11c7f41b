"""Ctrl-C, SIGTERM and a closed terminal: an orderly end, or a prompt one.

While there is something to lose, `Signals` takes note, and the work ends at a moment of
its choice. At other times `ending_at_once` ends the process within two seconds.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

WANTED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 1.5  # seconds for the main thread to end by itself
AGAIN = 0.5  # seconds, after which a Ctrl-C is another one
_notes: list[Callable[[], None]] = []  # see `noting`


class Interrupted(Exception):
    """A signal has ended the work. A run has a checkpoint of the state after `step`."""

    def __init__(self, number: int, step: int | None = None):
        after = "" if step is None else f" after step {step}"
        super().__init__(signal.Signals(number).name + after)
        self.number, self.step = number, step


class Stopped(KeyboardInterrupt):
    """A signal has come where nothing has to be brought to an end."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


class Signals:
    """Keeps the number of the first signal; a second Ctrl-C ends the process at once.

    Signals may come in pairs: a closed terminal sends two, and `timeout` one to the
    process and one to its group. So other signals, and the same within half a second,
    change nothing. A SIGHUP that the process ignores, as under `nohup`, stays ignored.

    A context manager for the main thread. Afterwards signals do what they did before.

    Attributes:
      number: of the first signal; None until there is one.
    """

    _active = 0  # how many there are in the process

    def __enter__(self):
        self.number, self._since, self._ends = None, 0.0, False
        self._before = _handle(self._note)
        Signals._active += 1
        return self

    def __exit__(self, *error):
        Signals._active -= 1
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, future: Future | None) -> None:
        """Waits until a future is done, or a signal has come."""
        while future and not future.done() and self.number is None:
            concurrent.futures.wait([future], timeout=0.1)

    @contextlib.contextmanager
    def ending_early(self) -> Iterator[None]:
        """Ends the block early, without an error, if a signal comes meanwhile.

        It is for what takes long and can be done again, as scoring is.
        """
        self._ends = True
        try:
            yield
        except Stopped:
            pass
        finally:
            self._ends = False

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Lets signals do what they did before, while there is nothing to lose."""
        self.__exit__()
        try:
            yield
        finally:
            number = self.number
            self.__enter__()
            self.number = number

    def _note(self, number, frame):
        now = time.monotonic()
        if self.number is None:
            self.number, self._since = number, now
            say("stopping; a checkpoint is written first")
            if self._ends:
                raise Stopped(number)
            return
        again = number != self.number or now - self._since > AGAIN
        if again and number == signal.SIGINT:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


@contextlib.contextmanager
def ending_at_once(leave: Callable[[int], None]) -> Iterator[None]:
    """Makes a signal end what runs in the block, unless `Signals` takes note of it.

    The main thread raises Stopped. If it does not come to that in time, because it is
    compiling, a thread calls `leave` with the signal's number, which is to end the
    process. The block has to be in the main thread.
    """

    def stop(number, frame):
        if not came:  # a second one would interrupt the end
            came.append(number)
            raise Stopped(number)

    def watch():
        while number := os.read(reading, 1)[0]:
            if Signals._active == 0 and not over.wait(PATIENCE):
                for note in _notes:
                    with contextlib.suppress(Exception):
                        note()
                leave(number)

    def unraisable(lost):
        # Python cannot raise from some callbacks, and shows the error; `watch` acts.
        if not isinstance(lost.exc_value, Stopped):
            showing(lost)

    came, over = [], threading.Event()
    showing, sys.unraisablehook = sys.unraisablehook, unraisable
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = _handle(stop)
    # Python handles a signal only when the main thread is back from what it has called.
    woken = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        sys.unraisablehook = showing
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.write(writing, b"\0")
        watcher.join()
        os.close(reading)
        os.close(writing)


@contextlib.contextmanager
def noting(note: Callable[[], None]) -> Iterator[None]:
    """Calls `note` if a signal ends the block, also where the process is left at once.

    It is for what has to be written then: in a thread, perhaps, while the main thread
    computes.
    """
    _notes.append(note)
    try:
        yield
    except KeyboardInterrupt:
        note()
        raise
    finally:
        _notes.remove(note)


def say(text: str) -> None:
    """Prints a line to stderr, also from a handler that has interrupted a print."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.write(sys.stderr.fileno(), f"{text}\n".encode())


def _handle(handler):
    """Sets a handler; returns those before. A SIGHUP that is ignored stays so."""
    wanted = list(WANTED)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        wanted.remove(signal.SIGHUP)
    return {number: signal.signal(number, handler) for number in wanted}
