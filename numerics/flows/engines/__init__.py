"""Integrators of a derived flow: one small interface, a reference, a compiled default and an oracle."""
