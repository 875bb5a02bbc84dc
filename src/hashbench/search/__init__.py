"""The hyperparameter search: one budget for all methods, on train rows alone."""
