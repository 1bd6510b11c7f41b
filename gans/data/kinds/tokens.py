"""Tokens [T]: the numbers of words in a vocabulary of `n_classes`, int32 from 0 on."""

from gans.data.kinds import label

AXES = ("T",)
DTYPES = label.DTYPES
RANGE = None
MIRRORED = False
CLASSES = True
decode = label.decode
encode = label.encode
flip = label.flip
