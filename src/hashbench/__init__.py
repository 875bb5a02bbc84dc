"""Benchmark and reproducibility suite for unsupervised image hashing."""
