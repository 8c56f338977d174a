"""Widgets and pieces that the pages share."""
