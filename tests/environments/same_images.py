"""Whether answers of ``python -m tests.images`` are the same, and how many images went which way.

python tests/environments/same_images.py FIRST.json OTHER.json …
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> int:
    """Print a line a file, and those images of which another thing became than in the first."""
    first = json.loads(Path(sys.argv[1]).read_text())
    failed = 0
    for name in sys.argv[1:]:
        found = json.loads(Path(name).read_text())
        outcomes = found["outcomes"]
        same = len(outcomes) == len(first["outcomes"])
        for image, outcome in first["outcomes"].items():
            if outcomes.get(image) != outcome:
                same = False
                sys.stdout.write(f"  another outcome: {image}\n")
        used = ", ".join(f"{kind} by {decoder}" for kind, (decoder, _) in found["used"].items())
        quick = len(found["quick"])
        said = "as the first" if same else "NOT as the first"
        sys.stdout.write(f"{name}: {len(outcomes)} images, {said}; {used}: {quick} of them\n")
        failed |= not same
    return failed


if __name__ == "__main__":
    sys.exit(main())
