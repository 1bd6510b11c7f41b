"""Voxels [D, H, W, C]: stored and decoded as images; -1 is empty, 1 is occupied.

They are not mirrored: the mirror image of a chair is a chair, that of a screw is not.
"""

from gans.data.kinds import image, point

AXES = ("D", "H", "W", "C")
DTYPES = image.DTYPES
RANGE = image.RANGE
MIRRORED = False
CLASSES = False
decode = image.decode
encode = image.encode
flip = point.flip
