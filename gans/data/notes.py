"""What the user should know about the data: a line on stderr, said once."""

import functools
import sys

import tqdm


@functools.cache  # a command may load its data several times
def note(text: str) -> None:
    """Shows a line, unless this process has shown it before."""
    tqdm.tqdm.write(text, file=sys.stderr)
