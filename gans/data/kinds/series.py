"""Series [T, C] of C channels: floats of any range, decoded to float32.

They are not mirrored in time.
"""

from gans.data.kinds import point

AXES = ("T", "C")
DTYPES = point.DTYPES
RANGE = None
MIRRORED = False
CLASSES = False
decode = point.decode
encode = point.encode
flip = point.flip
