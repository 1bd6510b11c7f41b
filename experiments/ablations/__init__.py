"""Arms of an ablation: training, statistics, report."""
