"""An OM on an Ascend chip, the way older scripts use it: ``Net(context, model_path)(array)``."""

from crnn.ascend.net import Net

__all__ = ["Net"]
