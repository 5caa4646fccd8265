"""Find the videos of a folder that are most like one video: `python examples/search.py VIDEO FOLDER`.

The folder's vectors are kept in FOLDER/vectors.npz, which `stzoo embed FOLDER -o FOLDER/vectors.npz` writes; run that
again with --resume when videos were added.
"""

import sys
from pathlib import Path

import numpy as np

import stzoo
from stzoo.prediction.vectors import load


def main(video: str, folder: str, best: int = 5) -> None:
    known = load(Path(folder) / "vectors.npz")
    vector = stzoo.load(known.made_with["model"], runtime="auto").embed(video)
    lengths = np.linalg.norm(known.matrix, axis=1) * np.linalg.norm(vector)
    likeness = np.nan_to_num(known.matrix @ vector / lengths, nan=-1.0)
    for index in np.argsort(-likeness)[:best]:
        print(f"{likeness[index]:.3f}  {known.paths[index]}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
