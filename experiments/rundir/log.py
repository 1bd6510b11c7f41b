"""The log of a run: metrics.jsonl, TensorBoard events, and a progress bar."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import platform
import sys
import time

import numpy as np
from tqdm import tqdm

from experiments.files import Lines, drop_lines

# Without a terminal there is a line after so many steps of this process, and then when
# none was printed for so many seconds: each time half as long again, up to the last.
_FIRST_LINES = (1, 10, 100)
_QUIET, _LONGEST = 30.0, 600.0
_BAR = (
    "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}  {speed}  {remaining} left{losses}"
)


class Log:
    """The log of one run, in its workdir.

    The run begins at step `start` and ends at step `steps`. With `resume`, the lines of
    metrics.jsonl up to `start` are kept, of scores up to `scored` if it is given; later
    ones are removed, because they will be written again. Without it, both logs start
    empty. The attribute `batch_size`, from which the images per second are counted, may
    change in between; `things` is what they are called, if not images.

    A line is written completely or not at all. If the disk is full, OSError is raised
    and every earlier line is intact.
    """

    def __init__(
        self,
        workdir: str | os.PathLike,
        *,
        start: int,
        steps: int,
        batch_size: int,
        resume: bool,
        scored: int | None = None,
        things: str = "images",
    ):
        os.makedirs(workdir, exist_ok=True)
        last_kept = start if resume else -1
        path = os.path.join(workdir, "metrics.jsonl")
        drop_lines(path, last_kept, scored)
        self._lines = Lines(path)
        self._events = _Events(workdir, purge_step=last_kept + 1)
        self._steps, self.batch_size, self._things = steps, batch_size, things
        self._mark = None  # (time, step) from which the speed is measured
        self._start, self._early = start, [*_FIRST_LINES]
        self._quiet, self._losses = _QUIET, ""
        self._bar = None
        if sys.stderr.isatty():
            self._bar = _Bar(
                total=steps,
                initial=start,
                batch_size=batch_size,
                things=things,
                bar_format=_BAR,
                dynamic_ncols=True,
            )

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Writes one line, and the finite values to TensorBoard.

        Values that are not finite become null. Raises OSError if the disk is full.
        """
        values = {name: _number(value) for name, value in metrics.items()}
        self._lines.append({"step": int(step), **values})
        self._events.scalars(step, values)

    def image(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes a picture, uint8 [H, W, C] with C = 1, 3 or 4, to TensorBoard."""
        self._events.image(step, name, image)

    def progress(self, step: int, metrics: dict[str, float] | None = None) -> None:
        """Shows the progress, and the losses (the metrics named `UPDATE/loss`).

        At a terminal this advances the bar. Elsewhere it prints a line if `metrics` are
        given, after 1, 10 and 100 steps, and when some time has passed without one;
        `metrics` are shown again until there are new ones. The speed is measured from
        the previous line, or from `restart`.
        """
        if metrics is not None:
            self._losses = _losses(metrics)
        if self._bar is not None:
            self._bar.losses = self._losses
            self._bar.batch_size = self.batch_size
            self._bar.update(step - self._bar.n)
            return
        now = time.monotonic()
        before, n_before = self._mark or (now, step)  # the first call has compiled
        early = self._early and step - self._start >= self._early[0]
        late = now - before >= self._quiet
        if metrics is not None or early or late:
            speed = (step - n_before) / (now - before) if now > before else 0.0
            said = _speed(speed, self.batch_size, self._things)
            self.message(_line(step, self._steps, said, speed, self._losses))
            self._early = [n for n in self._early if n > step - self._start]
            self._quiet = min(1.5 * self._quiet, _LONGEST) if late else self._quiet
            self._mark = (now, step)
        self._mark = self._mark or (now, step)

    def restart(self, step: int) -> None:
        """Measures the speed from here: what came before was not training."""
        if self._mark is not None:
            self._mark = (time.monotonic(), step)

    def message(self, text: str) -> None:
        """Prints a line to stderr, above the bar if there is one."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Closes the files and the bar, also after a failed write. Can be repeated."""
        if self._bar is not None:
            self._bar.close()
        self._events.close()
        self._lines.close()


def examples_until(path: str | os.PathLike, step: int) -> int | None:
    """Returns how many examples the first `step` steps took, by the speeds in a log.

    Batches may have changed meanwhile. None if the log has no speeds until then.
    """
    sizes = {}  # {step: the batch size of the steps before}
    with contextlib.suppress(OSError), open(path, "rb") as file:
        for line in file:
            with contextlib.suppress(
                ValueError, KeyError, TypeError, ZeroDivisionError
            ):
                found = json.loads(line)
                ratio = found["images_per_s"] / found["steps_per_s"]
                if found["step"] <= step:
                    sizes[found["step"]] = round(ratio)
    if not sizes:
        return None
    total = before = 0
    for end, size in sorted(sizes.items()):
        total, before = total + (end - before) * size, end
    return total + (step - before) * size


class _Events:
    """TensorBoard events, written without a buffer.

    tensorboardX's SummaryWriter is not used: a full disk ends its thread, after which
    its queue blocks the run; and a run that is killed loses the last two minutes.
    """

    def __init__(self, workdir, purge_step):
        self._workdir, self._purge_step = workdir, purge_step
        self._writer = None

    def scalars(self, step, values):
        from tensorboardX.proto.summary_pb2 import Summary  # see `_open`

        finite = {name: x for name, x in values.items() if x is not None}
        pairs = [Summary.Value(tag=name, simple_value=x) for name, x in finite.items()]
        self._write(step, summary=Summary(value=pairs))

    def image(self, step, name, image):
        from tensorboardX import summary  # see `_open`

        self._write(step, summary=summary.image(name, image, dataformats="HWC"))

    def _write(self, step, **what):
        try:
            if self._writer is None:
                self._open()
            self._put(step, **what)
        except OSError as error:
            raise OSError(
                error.errno,
                f"cannot write TensorBoard events of step {step} ({error.strerror})",
                str(self._workdir),
            ) from error

    def _open(self):
        # Imported at the first write, because it imports torch if that is installed.
        from tensorboardX import RecordWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        name = f"events.out.tfevents.{time.time():.0f}.{platform.node()}.{os.getpid()}"
        self._writer = RecordWriter(os.path.join(self._workdir, name))
        self._put(0, file_version="brain.Event:2")
        # Hides the events of an earlier, longer run from this step on.
        self._put(self._purge_step, session_log=SessionLog(status=SessionLog.START))

    def _put(self, step, **what):
        from tensorboardX.proto.event_pb2 import Event  # see `_open`

        event = Event(wall_time=time.time(), step=step, **what)
        self._writer.write(event.SerializeToString())
        self._writer.flush()

    def close(self):
        writer, self._writer = self._writer, None
        if writer is not None:
            # After a full disk its buffer is not empty; the write has raised that.
            with contextlib.suppress(OSError):
                writer.close()


class _Bar(tqdm):
    """A bar that also shows images per second, and the losses."""

    def __init__(self, *, batch_size, things, **kwargs):
        self.batch_size, self.things = batch_size, things
        self.losses = ""
        super().__init__(**kwargs)

    @property
    def format_dict(self):
        shown = super().format_dict
        # tqdm has no rate before its first update and after it has been closed.
        seconds, n_steps = shown["elapsed"], shown["n"] - shown["initial"]
        rate = shown["rate"] or (n_steps / seconds if seconds else 0.0)
        speed = _speed(rate, self.batch_size, self.things)
        return {**shown, "speed": speed, "losses": self.losses}


def _number(value):
    value = value if isinstance(value, int) else float(value)
    return value if math.isfinite(value) else None


def _line(step, steps, said, speed, losses):
    where = f"{step:>{len(str(steps))}}/{steps} {step / max(steps, 1):4.0%}"
    if not speed:  # only one moment is known
        return f"{where}{losses}"
    left = datetime.timedelta(seconds=round((steps - step) / speed))
    return f"{where}  {said}  {left} left{losses}"


def _speed(steps_per_s, batch_size, things):
    steps = f"{steps_per_s:.3g}" if steps_per_s < 100 else f"{steps_per_s:.0f}"
    return f"{steps} steps/s  {steps_per_s * batch_size:.0f} {things}/s"


def _losses(metrics):
    return "".join(
        f"  {name.removesuffix('/loss')} {value:.4g}"
        for name, value in metrics.items()
        if name.endswith("/loss")
    )
