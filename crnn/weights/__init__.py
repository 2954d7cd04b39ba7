"""The files that a network's weights come in, whoever wrote them.

Importing it needs PyTorch.
"""

from __future__ import annotations

from crnn.errors import needs

with needs("torch", extra="torch"):
    import torch  # noqa: F401
