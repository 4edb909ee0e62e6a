"""Datasets in, figures out: no computation."""
