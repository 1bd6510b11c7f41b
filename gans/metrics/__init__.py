"""Figures of merit of samples."""
