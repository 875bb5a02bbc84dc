"""The pipeline's stages: `python -m hashbench.stages.<stage> <profile>`, one file each, run by dvc.yaml."""
