"""Tokens [T]: the numbers of words in a vocabulary of `n_classes`, int32 from 0 on."""

from gans.data.kinds import label

AXES = ("T",)
RANGE = None
MIRRORED = False
decode = label.decode
encode = label.encode
flip = label.flip
