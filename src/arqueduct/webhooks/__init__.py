"""Telling others what happens: messages, signatures, and which addresses may be told at all."""
