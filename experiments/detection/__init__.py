"""Anomalies of time series, by models that reconstruct them and have a critic."""
