"""Arqueduct carries documents through staged jobs and shows every one as it flows."""

__version__ = "0.1.0"
