"""The PyTorch side: the network, and the files that its weights come in.

Importing it needs PyTorch.
"""

from __future__ import annotations

from crnn.errors import needs

with needs("torch", extra="torch"):
    import torch  # noqa: F401
