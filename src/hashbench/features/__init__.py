"""From images to features: backbones, augmented views, extraction, and the pretraining of small backbones."""
