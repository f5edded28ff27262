"""Statements, grouped by the noun they are about. Each takes an open transaction; none commits."""
