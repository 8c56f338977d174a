"""Whole questions, asked of the parts of the engine; each is a module of its own.

Nothing is imported here, so that a process that evaluates tiles loads no other study.
"""
