"""The same GANs in PyTorch (extra `peers`): what speed and numbers are compared with.

Written as PyTorch's users write them: modules, optimisers, one move after another. Only
`experiments.benchmark`, `experiments.benchmarks.metrics` and the tests come here.
"""
