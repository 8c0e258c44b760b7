"""TensorFlow as a helper of the host: quiet, and away from the accelerator."""

import os


def load() -> None:
  """Imports TensorFlow so that it leaves GPUs and the terminal alone.

  Whoever uses a library that imports TensorFlow calls this before.
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')  # or it says so
  import tensorflow as tf

  # It would take all memory of the GPUs that JAX trains on.
  tf.config.set_visible_devices([], 'GPU')
