"""Proofs about one expression in balls: no activation is known here."""
