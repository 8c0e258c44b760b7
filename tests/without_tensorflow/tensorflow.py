"""Stands in for TensorFlow, whose import takes seconds in every process."""

raise ModuleNotFoundError("No module named 'tensorflow'", name='tensorflow')
