"""Finds the convolutions of a program that are slow on a CPU."""

import operator
import re

_CONVOLUTION = re.compile(
    r"stablehlo\.convolution\(.*?\) dim_numbers = (?P<layout>\S.*?), "
    r"window = \{(?P<window>.*?)\} \{(?P<groups>.*?)\}"
)


def slow_convolutions(program: str) -> list[str]:
    """A line "reason: operation" for each slow convolution in a StableHLO program.

    program: what `jax.jit(f).trace(*args).lower(lowering_platforms=("cpu",)).as_text()`
      returns: the program before XLA, which repairs some of these outside loops and
      branches.

    Slow on a CPU, with measured factors: a kernel gradient in the layout of autodiff
    (100 in a loop, 45 with dilation), a dilated convolution of volumes (100), a grouped
    convolution (2 to 60) and its kernel gradient (hundreds), a kernel larger than the
    image before its padding (8 to 50).

    Raises ValueError if `program` is not StableHLO.
    """
    if "stablehlo." not in program and "func.func" not in program:
        raise ValueError(f"not a StableHLO program: {program[:80]!r}")
    found = []
    for line in program.splitlines():
        if "stablehlo.convolution" in line and (reason := _reason(line)):
            found.append(f"{reason}: {line.strip()}")
    return found


def _reason(line):
    layout, window, groups = _CONVOLUTION.search(line).group(
        "layout", "window", "groups"
    )
    space = ", ".join(map(str, range(window.split("pad = ")[1].count("], [") + 1)))
    if layout != f"[b, {space}, f]x[{space}, i, o]->[b, {space}, f]":
        return "layout not canonical"
    if re.search(r"group_count = (?!1\b)", groups):
        return "grouped"
    dilation = re.search(r"lhs_dilate = \[(.*?)\]", window)
    if dilation and len(space) > 4 and dilation[1] != "1, 1, 1":
        return "dilated volume"
    image, kernel = (_sizes(line, i) for i in (0, 1))
    if any(map(operator.gt, kernel[:-2], image[1:-1])):
        return "kernel larger than the image"
    return None


def _sizes(line, operand):
    """Of the type of one operand."""
    types = line.rsplit(" : (", 1)[1]
    sizes = re.findall(r"tensor<((?:\d+x)+)", types)[operand]
    return [*map(int, sizes.split("x")[:-1])]
