"""Clips [T, H, W, C]: stored and decoded as images, and mirrored as a whole."""

from gans.data.kinds import image

AXES = ("T", "H", "W", "C")
FREE = ("T",)
DTYPES = image.DTYPES
RANGE = image.RANGE
MIRRORED = True
CLASSES = False
decode = image.decode
encode = image.encode
flip = image.flip  # one coin a clip
