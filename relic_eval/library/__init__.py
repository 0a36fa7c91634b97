"""The command line's work from Python: arrays, tensors or DataFrames in, DataFrames, dataclasses and paths out."""
