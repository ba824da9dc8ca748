"""The tables that come with scikit-learn, read from its files: nothing of it is imported."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from . import downloads

IRIS = ["sepal length", "sepal width", "petal length", "petal width"]
WINE = ["alcohol", "malic acid", "ash", "alcalinity of ash", "magnesium", "total phenols", "flavanoids",
        "nonflavanoid phenols",
        "proanthocyanins", "colour intensity", "hue", "od280/od315 of diluted wines", "proline"]
MEASURES = ["radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity",
            "concave points", "symmetry",
            "fractal dimension"]
CANCER = [f"{kind} {measure}" for kind in ("mean", "deviation of", "worst") for measure in MEASURES]
DIABETES = ["age", "sex", "body mass index", "blood pressure", "s1", "s2", "s3", "s4", "s5", "s6"]
FILES = {"iris": ("iris.csv", IRIS, "species"), "wine": ("wine_data.csv", WINE, "grower"),
         "breast_cancer": ("breast_cancer.csv", CANCER, "diagnosis")}


def folder() -> Path:
    """Where scikit-learn keeps its tables."""
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("this table comes with scikit-learn: pip install scikit-learn")
    return Path(spec.origin).parent / "datasets" / "data"


def named_columns(name: str) -> tuple[dict[str, np.ndarray], str]:
    """The columns of a table, the target last, and the sha256 of its file."""
    if name == "diabetes":
        x = downloads.unpacked(folder() / "diabetes_data_raw.csv.gz")
        y = downloads.unpacked(folder() / "diabetes_target.csv.gz")
        columns = dict(zip(DIABETES, np.loadtxt(x.decode().splitlines()).T, strict=True))
        return {**columns,
                "progression": np.loadtxt(y.decode().splitlines())}, hashlib.sha256(x + y).hexdigest()
    file, names, target = FILES[name]
    content = downloads.unpacked(folder() / file)
    header, *lines = content.decode().splitlines()
    values = np.loadtxt(lines, delimiter=",")
    classes = np.array(header.split(",")[2:], dtype=object)
    columns = {**dict(zip(names, values[:, :-1].T, strict=True)), target: classes[values[:, -1].astype(int)]}
    return columns, hashlib.sha256(content).hexdigest()
