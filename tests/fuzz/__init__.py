"""Texts of every kind through the command line: an answer or one line, never a traceback, a NaN, a hang."""
