"""A trial of a sweep, in a process of its own, and the sweep's end of its pipe.

`python -m experiments.sweeps.trial` reads a request as a line of JSON from stdin, and
writes messages to stdout, one line each. {"kind": "step", "step", "steps"} says how far
it is. {"kind": "value", "step", "values", "last"} waits for an answer, which is true if
the run is to be pruned. The last message is "finished" or "failed". Printed text goes
to log.txt in the trial's folder.

When the sweep ends, the trial stops as after SIGTERM, with a checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from experiments import process

COMMAND = (sys.executable, "-m", "experiments.sweeps.trial")

Message = dict[str, Any]


class Trial:
    """The process of a trial, as seen from the sweep.

    It has its own process group, so that a Ctrl-C at the terminal reaches only the
    sweep.
    """

    def __init__(
        self,
        request: Message,
        command: Sequence[str] = COMMAND,
        environment: Mapping[str, str] | None = None,
    ):
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            cwd=request.get("cwd"),
            env=dict(environment or {}) | os.environ,
        )
        self.answer(request)

    def fileno(self) -> int:
        """The file descriptor on which to wait for messages."""
        return self._process.stdout.fileno()

    def receive(self) -> Message:
        """Returns the next message; the last has the kind "ended" and the reason."""
        line = self._process.stdout.readline()
        if line.endswith(b"\n"):
            return json.loads(line)
        code = self._process.wait()
        how = f"exit code {code}"
        if code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        return {"kind": "ended", "error": how}

    def answer(self, value: Any) -> None:
        """Sends a line; does nothing if the process has ended."""
        try:
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
        except BrokenPipeError:
            pass

    def stop(self) -> None:
        """Asks the process to write a checkpoint and stop."""
        self._process.terminate()

    def close(self) -> None:
        """Stops the process if it still runs, and waits until it has ended."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


# --- in the process -------------------------------------------------------------------


class Line:
    """The messages to the sweep, and its answers."""

    def __init__(self):
        # Text that is printed from here on must not be taken for a message.
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._answers = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in sys.stdin:
            self._answers.put(json.loads(line))
        self._answers.put(None)
        os.kill(os.getpid(), signal.SIGTERM)

    def ask(self, **message: Any) -> Any:
        """Sends a message and returns the answer."""
        self.say(**message)
        return self.answer()

    def answer(self) -> Any:
        """Returns the next answer; ends the process if the sweep has ended."""
        answer = self._answers.get()
        if answer is None:
            raise SystemExit(1)
        return answer

    def say(self, **message: Any) -> None:
        """Sends a message; does nothing if the sweep has ended."""
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(message), file=self._out, flush=True)


def _main():
    line = Line()
    process.lasting_streams()
    request = line.answer()
    process.configure()
    process.compilation_cache()
    # It imports JAX, which reads its settings then.
    from experiments.sweeps import training

    return training.work(request, line)


if __name__ == "__main__":
    sys.exit(_main())
