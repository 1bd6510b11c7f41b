"""The pictures of a run: what it draws again and again, and real examples once."""

from __future__ import annotations

from pathlib import Path

from experiments import origin
from experiments.pages import run as page
from experiments.sampling import pictures, real_examples


class Samples:
    """Draws WORKDIR/samples, and has the page of the run written again."""

    def __init__(self, workdir: Path):
        self._folder, self._page = workdir / "samples", page.Live(workdir)
        self._real_of = None  # the stage whose real examples are drawn

    def drop(self, last: int) -> None:
        """Removes the pictures of steps after `last`."""
        pictures.drop(self._folder, last)

    def show(self, stage, samples, step: int, log) -> None:
        """Draws {output: {field: [n, ...]}}: step_STEP.png, and TensorBoard."""
        self._folder.mkdir(exist_ok=True)
        stem, spec = self._folder / f"step_{step:08d}", stage.source.spec
        options = {"given": stage.drawing.given, "targets": stage.drawing.targets}
        options["source"] = stage.source
        # No run and no step, which the file's place says: runs are equal byte for byte.
        source = origin.EDITED if stage.gan.conditioned_on else origin.MADE
        with origin.noted(source=source):
            drawn = pictures.draw(stem, spec, samples, **options)
        for name, picture in drawn.items():
            log.image(step, name, picture.pixels)
        if self._real_of is not stage:
            self._real_of = stage
            real_examples.draw(stem.with_name("real"), spec, samples, **options)
        self._page.refresh()
