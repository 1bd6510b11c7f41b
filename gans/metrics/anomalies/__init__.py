"""Anomalies of a time series from its reconstructed windows: numpy, float64.

The order is that of TadGAN (arXiv 2009.07769, section IV), with the conventions of its
reference implementation, Orion 0.7.1, wherever the paper leaves one open:

    windows    [n, size, C] made of windows that start a step apart; critic [n]
    merging    what the windows that cover a step say of it: [N, C], [N]
    errors     of the merged reconstruction: point, area, DTW; smoothed: [N]
    scores     of the errors and of the critic, and both combined: [N]
    thresholds of the scores, one for each of many long windows; runs above, pruned
    intervals  merged; compared with the true ones

N = n + size - 1, the number of steps.
"""
