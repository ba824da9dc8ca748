"""How good the default classifier is on few photographs: three classes of CIFAR-10, 60 pictures each, written out as files of several sizes.

    python benchmarks/photographs.py --triples A B C --seeds 0 1 2 [--backbone]

`train resnet --data FOLDER` beside logistic regression on the same pixels (standardised, C by cross-validation), with
200 held-out pictures a class; with --backbone also
`--from` a run on the 35,000 pictures of the other seven classes. Writes results/benchmarks/photographs/<triple>.json.
"""

import argparse
import time
import warnings
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from PIL import Image
from record import RESULTS
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deepcanon import recipes
from deepcanon.data import images
from deepcanon.data.pictures import CIFAR10
from deepcanon.engine import options
from deepcanon.engine.checkpoint import write_json
from deepcanon.engine.record import environment

TRIPLES = {"A": (2, 5, 9), "B": (3, 6, 8), "C": (0, 4, 7)}
SIZES = [(79, 66), (64, 64), (96, 72), (60, 80)]


def written_out(root: Path, triple: str) -> Path:
    """train/ and test/ folders of a class each, PNG and JPEG files in turn."""
    draw = np.random.default_rng(ord(triple))
    for split, count in (("train", 60), ("test", 200)):
        content = images("cifar10", split=split).content
        for k in TRIPLES[triple]:
            rows = draw.choice(np.flatnonzero(content.y.numpy() == k), count, replace=False)
            for i, row in enumerate(rows):
                width, height = SIZES[i % 4]
                side = max(width, height)
                picture = Image.fromarray(content.x[int(row)].permute(1, 2, 0).numpy()).resize((side, side), Image.Resampling.BICUBIC)
                left, top = (side - width) // 2, (side - height) // 2
                path = root / triple / split / CIFAR10[k] / f"{i:03d}.{'jpg' if i % 2 else 'png'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.crop((left, top, left + width, top + height)).save(path)
    return root / triple


def logistic_regression(folder: Path) -> float:
    """Accuracy of logistic regression on the pixels that the net sees."""
    (x, y), (x_test, y_test) = (images(str(folder), split=split, batch=10_000, shuffle=False).at(0) for split in ("train", "test"))
    model = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=[1e-4, 1e-3, 1e-2, 1e-1], cv=5, max_iter=300))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x.flatten(1).numpy(), y.numpy())
    return float(model.score(x_test.flatten(1).numpy(), y_test.numpy()))


def backbone(root: Path, triple: str) -> Path:
    """A run on the seven classes that are not tested."""
    content = images("cifar10").content
    others = [k for k in range(10) if k not in TRIPLES[triple]]
    rows = np.flatnonzero(np.isin(content.y.numpy(), others))
    labels = np.searchsorted(others, content.y.numpy()[rows])
    with options(quiet=True, folder=root / f"backbone-{triple}"):
        return recipes.resnet((content.x.numpy()[rows].transpose(0, 2, 3, 1), labels), steps=2_000).folder


def accuracies(folder: Path, seeds: list[int], start: Path | None) -> dict:
    """The default command with each seed."""
    found, began = [], time.process_time()
    for seed in seeds:
        with options(quiet=True, folder=folder.parent / f"{folder.name}-{'tuned' if start else 'scratch'}-{seed}", start_from=start):
            found.append(recipes.resnet(str(folder), seed=seed).results["accuracy"])
    return {"accuracy": found, "mean": float(np.mean(found)), "cpu_seconds_each": round((time.process_time() - began) / len(seeds), 1)}


def main() -> None:
    """Every triple that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", nargs="+", default=list(TRIPLES), choices=list(TRIPLES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--backbone", action="store_true")
    asked, root = parser.parse_args(), Path(mkdtemp())
    for triple in asked.triples:
        folder = written_out(root, triple)
        record = {"classes": [CIFAR10[k] for k in TRIPLES[triple]], "logistic_regression": logistic_regression(folder),
                  "from_scratch": accuracies(folder, asked.seeds, None)}
        if asked.backbone:
            record["from_backbone"] = accuracies(folder, asked.seeds, backbone(root, triple))
        write_json(RESULTS / "photographs" / f"{triple}.json", record | {"seeds": asked.seeds, **environment()})
        print(triple, record, flush=True)


if __name__ == "__main__":
    main()
