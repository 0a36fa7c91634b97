"""Evaluators that need pictures and a network: fine-tuning, semi-supervised learning, segmentation."""
