"""Basinscope's engine: loss landscapes modulo permutation symmetries."""
