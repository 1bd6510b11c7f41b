"""Embeddings [K, D]: K vectors of one example, such as those of its sentences.

Floats of any range, decoded to float32.
"""

from gans.data.kinds import point

AXES = ("K", "D")
DTYPES = point.DTYPES
RANGE = None
MIRRORED = False
PLACELESS = True
CLASSES = False
decode = point.decode
encode = point.encode
flip = point.flip
