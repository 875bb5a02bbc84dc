"""Data sets: one file each, and what they share (fetching, archives, images, splits)."""
