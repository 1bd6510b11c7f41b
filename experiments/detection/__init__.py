"""Anomalies of time series, by models that reconstruct them and have a critic."""

from experiments.detection.detection import Rules
from experiments.detection.detector import Detector
from experiments.detection.folder import train_folder
from experiments.detection.run import detect_run

__all__ = ["Detector", "Rules", "detect_run", "train_folder"]
