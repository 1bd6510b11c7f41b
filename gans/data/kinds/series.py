"""Series [T, C] of C channels: float32 as they are. They are not mirrored in time."""

from gans.data.kinds import point

AXES = ("T", "C")
RANGE = None
MIRRORED = False
decode = point.decode
encode = point.encode
flip = point.flip
