"""An OM on an Ascend chip, the way older scripts use it: ``Net(context, model_path)(array)``; a set
of OMs for several widths or batches: ``NetSet(context, folder)(array)``.
"""

from crnn.ascend.net import Net
from crnn.ascend.net_set import NetSet

__all__ = ["Net", "NetSet"]
