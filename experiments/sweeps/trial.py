"""A trial of a sweep, in a process of its own, and the sweep's end of its pipe.

`python -m experiments.sweeps.trial` reads a request as a line of JSON from stdin, and
writes messages to stdout, one line each. {"kind": "value", "step", "values", "last"}
waits for an answer, which is true if the run is to be pruned. The last message is
"finished" or "failed". Printed text goes to log.txt in the trial's folder.

When the sweep ends, the trial stops as after SIGTERM, with a checkpoint.
"""

from __future__ import annotations

import fcntl
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "experiments.sweeps.trial")
N_CHECK = 1000  # samples of the evaluation that shows whether there can be one

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


class _Pruned(Exception):
    """The sweep has pruned this run."""


class _Line:
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

    def ask(self, **message):
        self.say(**message)
        return self.answer()

    def answer(self):
        answer = self._answers.get()
        if answer is None:
            raise SystemExit(1)
        return answer

    def say(self, **message):
        print(json.dumps(message), file=self._out, flush=True)


def _main():
    line = _Line()
    request = line.answer()
    from experiments import process

    process.configure()
    process.compilation_cache()
    try:
        if request["kind"] == "check":
            line.say(kind="checked", **_check(request["configs"]))
        else:
            _train(request, line)
    except Exception as error:
        from experiments.signals import Interrupted
        from experiments.training.loop import ERRORS

        if isinstance(error, Interrupted):
            return 128 + error.number
        if not isinstance(error, (ValueError, OSError, *ERRORS)):
            traceback.print_exc()
        name = "" if isinstance(error, ERRORS) else f"{type(error).__name__}: "
        text = str(error)
        if request["kind"] != "check":
            print(f"{name}{text}", file=sys.stderr)
            text = (text.splitlines() or [""])[0]
        line.say(kind="failed", error=f"{name}{text}")
    return 0


def _check(texts):
    """Builds configs and evaluates the first; returns {"objective", "better"}.

    This also puts the features of the real images into the cache.
    """
    import jax

    from experiments import config as configs
    from experiments.evaluation import reports
    from gans import core

    source = None
    for text in texts:
        config = configs.from_json(text)
        source = source or configs.load_data(config)
        config = configs.resolve(config, source)
        gan = configs.build(config)
        if text is texts[0]:
            config.n_evaluate = min(config.n_evaluate, N_CHECK)
            evaluator = reports.make_evaluate(gan, config, source)
            report = evaluator(core.init(gan, jax.random.key(config.seed)))
    name, result = next(iter(report["results"].items()))
    return {"objective": f"eval/{name}", "better": result["better"]}


def _train(request, line):
    from experiments import config as configs
    from experiments import report
    from experiments.rundir import manifest
    from experiments.training import loop

    folder = Path(request["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    log = open(folder / "log.txt", "ab")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    fcntl.flock(log, fcntl.LOCK_EX)  # the process before may still be writing

    config = configs.from_json(request["config"])

    def on_evaluation(step, values):
        last = step >= config.steps
        if line.ask(kind="value", step=step, values=values, last=last):
            raise _Pruned(step)

    try:
        loop.train(
            config,
            folder,
            command=request["command"],
            on_evaluation=on_evaluation,
        )
    except _Pruned as error:
        status = {"status": f"pruned after step {error}"}
        manifest.write(folder, manifest.read(folder) | status)
        report.write(folder)
        return
    # A run that had already ended is not evaluated again.
    last = json.loads((folder / "evaluations.jsonl").read_text().splitlines()[-1])
    values = {f"eval/{name}": x["value"] for name, x in last["results"].items()}
    known = manifest.read(folder)
    shown = {key: known[key] for key in ("seconds", "hardware", "versions")}
    line.say(kind="finished", step=last["step"], values=values, run=shown)


if __name__ == "__main__":
    sys.exit(_main())
