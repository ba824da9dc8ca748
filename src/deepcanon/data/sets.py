"""The data sets that have a name: what they are, whose they are, which files they need and where those come from.

Importing this file imports nothing but the standard library, so that `deepcanon data list` answers at once.
`sha256` is that of the content: of what a `.gz` holds (two compressors write different bytes for one content), else of the file itself.
"""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

GITHUB = "https://raw.githubusercontent.com"
LARGEST = 256 * 2**20       # bytes that a file may have whose size is not written here


@dataclass(frozen=True)
class File:
    """One file: its name in `DEEPCANON_DATA` and in the cache, its https address, the sum and (of a `.gz`)
    the bytes of its content."""

    name: str
    address: str
    sha256: str
    size: int = 0

    @property
    def most(self) -> int:
        """Bytes that the file itself may have: of a `.gz` a little more than its content."""
        return self.size + self.size // 100 + 4_096 if self.size else LARGEST


@dataclass(frozen=True)
class DataSet:
    """A named data set; no files: embedded in an installed package."""

    name: str
    kind: str           # the function that opens it: images, text, table
    about: str
    licence: str
    files: tuple[File, ...] = ()
    by_hand: str = ""   # the file that a user puts into `DEEPCANON_DATA`, where there is no address


def idx_files(prefix: str, address: str, sums: dict[str, str]) -> tuple[File, ...]:
    """The four files of a set in MNIST's form."""
    sizes = {"train-images-idx3": 47_040_016, "train-labels-idx1": 60_008, "t10k-images-idx3": 7_840_016, "t10k-labels-idx1": 10_008}
    return tuple(File(f"{prefix}-{part}-ubyte.gz", f"{address}/{part}-ubyte.gz", sha256, sizes[part])
                 for part, sha256 in sums.items())


SETS = {s.name: s for s in [
    DataSet("digits", "images", "1,797 handwritten digits, 8x8 grey, 10 classes (Alpaydin & Kaynak 1998)", "CC BY 4.0"),
    DataSet("mnist", "images", "70,000 handwritten digits, 28x28 grey, 10 classes (LeCun et al. 1998)", "CC BY-SA 3.0",
            idx_files("mnist", "https://ossci-datasets.s3.amazonaws.com/mnist", {
                "train-images-idx3": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "train-labels-idx1": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "t10k-images-idx3": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "t10k-labels-idx1": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"})),
    DataSet("fashion", "images", "70,000 pieces of clothing, 28x28 grey, 10 classes (Xiao et al. 2017)", "MIT",
            idx_files("fashion", f"{GITHUB}/zalandoresearch/fashion-mnist/master/data/fashion", {
                "train-images-idx3": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "train-labels-idx1": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "t10k-images-idx3": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "t10k-labels-idx1": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"})),
    DataSet("cifar10", "images", "60,000 small photographs, 32x32 colour, 10 classes (Krizhevsky 2009)", "for research, with citation",
            (File("cifar-10-binary.tar.gz", "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                  "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),)),
    DataSet("omniglot", "images", "4,840 drawings of 242 characters of 8 alphabets, 105x105, black and white (Lake et al. 2015)", "MIT",
            tuple(File(name, f"{GITHUB}/brendenlake/omniglot/master/python/{name}", sha256)
                  for name, sha256 in {
                "images_background_small1.zip": "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
                "images_background_small2.zip": "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f"}.items())),
    DataSet("shapes", "masks", "500 scenes of circles, squares and thin lines, 64x64 colour, drawn by seed", "Apache-2.0"),
    DataSet("camvid", "masks", "701 street scenes, 256x192 colour, 11 classes of pixels (Brostow et al. 2008)", "CC BY-NC 4.0",
            by_hand="camvid.npz"),
    DataSet("nuclei", "masks", "240 microscope images of cell nuclei, 256x256 colour, each nucleus numbered (Caicedo et al. 2019)", "CC0",
            by_hand="nuclei.npz"),
    DataSet("digit_captions", "captions", "1,200 scenes of one to three digits with captions such as 'a seven above a two'", "CC BY 4.0"),
    DataSet("flickr8k", "captions", "1,000 photographs, 128x128 colour, with five captions each (Hodosh et al. 2013)",
            "for research, with citation", by_hand="flickr8k.npz"),
    DataSet("digit_scenes", "boxes", "4,400 scenes of 2 to 6 handwritten digits among clutter, 96x96 grey, 10 classes", "CC BY 4.0"),
    DataSet("bccd", "boxes", "364 pictures of blood cells, 320x240 colour, 3 classes (Shenggan 2017)", "MIT",
            by_hand="bccd.npz"),
    DataSet("pydoc", "text", "the topics of Python's own help(), half a million characters of English", "PSF"),
    DataSet("tinyshakespeare", "text", "plays of Shakespeare, 1.1 million characters (Karpathy 2015)", "public domain",
            (File("tinyshakespeare.txt", f"{GITHUB}/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                  "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed", 1_115_394),)),
    DataSet("iris", "table", "150 flowers of 3 species by 4 lengths, to classify (Fisher 1936)", "CC BY 4.0"),
    DataSet("wine", "table", "178 wines of 3 growers by 13 measurements, to classify (Forina et al. 1988)", "CC BY 4.0"),
    DataSet("breast_cancer", "table", "569 tumours by 30 measurements, to classify (Street et al. 1993)", "CC BY 4.0"),
    DataSet("diabetes", "table", "442 patients by 10 measurements, progression to predict (Efron et al. 2004)", "public"),
]}


def names(kind: str | None = None) -> list[str]:
    """The known names, of one kind or all."""
    return [s.name for s in SETS.values() if kind in (None, s.kind)]


def nearest(name: str, among: list[str]) -> str:
    """`; did you mean 'mnist'?` when something in `among` is near `name`, then all there is."""
    close = difflib.get_close_matches(name, among, n=1, cutoff=0.5)
    return (f"; did you mean '{close[0]}'?" if close else ";") + f" known: {', '.join(among)}"


def lookup(name: str, kind: str | None = None) -> DataSet:
    """The set of that name; ValueError with the nearest name when there is none."""
    if name not in names(kind):
        raise ValueError(f"unknown data set '{name}'{nearest(name, names(kind))}; or give the path of your own data, such as './{name}'")
    return SETS[name]


def is_path(source: str) -> bool:
    """Whether a source means a file or folder and not a name: it has a separator or a suffix."""
    return bool(Path(source).suffix) or "/" in source or os.sep in source or source in (".", "..")
