"""The same GANs in PyTorch (extra `reference`): the reference for speed and numbers.

Written as PyTorch's users write them: modules, optimisers, one update after another.
Only the benchmarks and the tests import it.
"""
