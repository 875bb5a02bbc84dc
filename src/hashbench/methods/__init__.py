"""Hashing methods: what they share, and the two that hashbench is named for."""
