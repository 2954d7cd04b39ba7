"""A set of OMs as one: arrays in, arrays out, by the OM whose input has the array's shape."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Dict, List, Optional, Sequence, Tuple, Type, Union

import numpy as np

from crnn.ascend.net import Net
from crnn.ascend.om_reader import read_om
from crnn.ascend.release import Attempts
from crnn.errors import InputError


class NetSet:
    """Static OMs of one input each, such as ``crnn compile --widths`` makes, called as a `Net`.

    Each OM is loaded when the first array of its shape comes; nothing is padded or cut. Arguments
    are those of `Net`; ``folder`` holds the OMs, all of which belong to the set.
    """

    def __init__(self, context: int, folder: Union[str, Path], device_id: int = 0) -> None:
        self.context = context
        self.folder = Path(folder)
        self.device_id = device_id
        self.nets: Dict[Tuple[int, ...], Net] = {}
        """The OMs that were loaded, by the shape of their input."""
        self._paths: Dict[Tuple[int, ...], Path] = {}
        for path in sorted(self.folder.glob("*.om")):
            self._add(path)
        if not self._paths:
            raise InputError(f"{folder} holds no .om; expected the folder of a set")

    def _add(self, path: Path) -> None:
        om = read_om(path)
        shape = None
        if len(om.data_inputs) == 1 and om.gears is None:
            shape = om.data_inputs[0].shape
        if shape is None:
            raise InputError(
                f"{path} is not a static OM of one input; a set has those alone",
                hint="An OM with gears is a net by itself: acl_net.Net(context, path).",
            )
        if shape in self._paths:
            raise InputError(f"{self._paths[shape]} and {path} both take {shape}")
        self._paths[shape] = path

    @property
    def shapes(self) -> Sequence[Tuple[int, ...]]:
        """The shapes that the set takes."""
        return tuple(self._paths)

    def __call__(self, data: np.ndarray) -> List[np.ndarray]:
        """Run the OM whose input has the array's shape.

        Args:
            data: Images (N, C, H, W), or what the OMs take.

        Returns:
            Copies of the outputs.

        Raises:
            InputError: No OM takes this shape.
        """
        path = self._paths.get(data.shape)
        if path is None:
            shapes = ", ".join(map(str, self._paths))
            raise InputError(f"{self.folder} takes {shapes}; got {data.shape}")
        net = self.nets.get(data.shape)
        if net is None:
            net = Net(self.context, path, self.device_id, first=not self.nets)
            self.nets[data.shape] = net
        return net(data)

    def release(self) -> None:
        """Give back the OMs and their memory; harmless the second time."""
        attempt = Attempts()
        while self.nets:
            _, net = self.nets.popitem()
            attempt(net.release)
        attempt.done()

    def __enter__(self) -> NetSet:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.release()
