"""The pictures of a folder: which files there are, and what the folders say of their class and split.

    photos/cat/1.jpg, photos/dog/a/2.jpg            the class is the first folder that differs
    photos/train/cat/1.jpg, photos/test/cat/2.jpg   train, val, test or their other names, above the classes

Without folders for the splits a picture belongs to the test split when the sum of its path inside the folder
says so: one in five, whatever else is there. Only where this leaves a class of two pictures or more without
one in either split, the picture with the lowest (or highest) sum moves.
"""

import errno
import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from .image_decode import decoded, why_not
from .image_notices import some
from .notices import counted

__all__ = ["Arranged", "Found", "arranged", "decoded", "held_out", "is_test", "listing", "role", "scan"]

JPEG, NETPBM = {".jpg", ".jpeg", ".jpe", ".jfif"}, {".ppm", ".pgm", ".pbm", ".pnm"}
SUFFIXES = JPEG | NETPBM | {".png", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".jp2", ".avif"}
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}
SYSTEM = {"__macosx", "thumbs.db", "desktop.ini", "icon\r"}  # of file managers, as are names with a dot first
NAMES = {"train": "train training", "val": "val valid validation dev eval", "test": "test testing"}
ROLES = {name: split for split, names in NAMES.items() for name in names.split()}
HOW_TO_SAY = "rename a folder, or give a CSV file with the columns path, label and split"

Directory = tuple[str, ...]
Stamp = tuple[int, int]  # bytes, time of the last change


class Found(NamedTuple):
    """The files below a folder, by their paths inside it."""

    pictures: dict[str, Stamp]  # those with the suffix of a picture, folder by folder in order of name
    others: list[str]  # files that are no pictures
    bad: dict[str, str]  # what has the name of a picture and cannot be one -> why
    folders: list[Directory]


class Arranged(NamedTuple):
    """What the folders say of each directory that holds pictures: its split (None: not split) and class."""

    classes: list[str]
    places: dict[Directory, tuple[str | None, str]]
    left_out: list[Directory]
    notes: list[str]


def scan(root: Path) -> Found:
    """Every file below a folder, links followed; hidden files and those of file managers are passed over."""
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}")
    found = Found({}, [], {}, [])
    waiting: list[tuple[Directory, tuple]] = [((), ())]
    while waiting:
        parts, above = waiting.pop()
        try:
            identity = folder_identity(root, parts)
            if identity in above:
                raise ValueError("a link to a folder that contains it")
            with os.scandir(root.joinpath(*parts)) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except (OSError, ValueError) as error:
            found.bad["/".join(parts)] = reason(error)
            continue
        found.folders.append(parts)
        below = [
            entry.name
            for entry in inside
            if entry.name[0] != "." and entry.name.lower() not in SYSTEM and is_folder(entry, parts, found)
        ]
        waiting.extend(((*parts, name), (*above, identity)) for name in reversed(below))
    return found


def folder_identity(root: Path, parts: Directory) -> tuple[int, int]:
    """What tells one folder from another, whatever links lead to it."""
    status = os.stat(root.joinpath(*parts))
    return status.st_dev, status.st_ino


def is_folder(entry: os.DirEntry, parts: Directory, found: Found) -> bool:
    """Whether to look into an entry; a file is added to what was found."""
    name, picture = "/".join((*parts, entry.name)), PurePath(entry.name).suffix.lower() in SUFFIXES
    try:
        status = entry.stat()
        if entry.is_dir() and not picture:
            return True
        wrong = why_not(status)
    except OSError as error:
        status, wrong = None, reason(error)
    if not picture:
        found.others.append(name)
    elif wrong or status is None:
        found.bad[name] = wrong
    else:
        found.pictures[name] = status.st_size, status.st_mtime_ns
    return False


def reason(error: Exception) -> str:
    """Why a file or folder cannot be looked at."""
    if isinstance(error, FileNotFoundError) or (isinstance(error, OSError) and error.errno == errno.ELOOP):
        return "a link that leads nowhere"
    return error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)


def arranged(root: Path, found: Found) -> Arranged:
    """Classes and splits by the folders.

    Raises:
        ValueError: the folders can be read in more than one way, or a class has no pictures.
        FileNotFoundError: there is a folder for one split and none for the other.
    """
    full = list(dict.fromkeys(directory(name) for name in (*found.pictures, *found.bad)))
    if not found.pictures:
        raise ValueError(nothing_in(root, found))
    occupied = {d[:n] for d in full for n in range(len(d) + 1)}
    bare = [d for d in found.folders if d not in occupied]
    cut = split_cut(root, full, bare)
    places = {d: cut(d) for d in full}
    rests = [rest for _, rest in filter(None, places.values())]
    prefix = common(rests)
    one = all(rest == prefix for rest in rests)
    if not one and prefix in rests:
        raise ValueError(beside(root, full, places, prefix))
    under = prefix[:-1] if one else prefix
    empty = [
        d for d in bare if (place := cut(d)) and place[1][:-1] == under and len(place[1]) == len(under) + 1
    ]
    if empty and (prefix or not one):
        raise ValueError("; ".join(f"{root.joinpath(*d)} has no images" for d in empty))
    only = prefix[-1] if prefix else root.name or root.resolve().name
    named = {d: place and (place[0], only if one else place[1][len(under)]) for d, place in places.items()}
    kept = {d: place for d, place in named.items() if place}
    classes = sorted({name for _, name in kept.values()})
    return Arranged(classes, kept, [d for d in full if d not in kept], [f"one class, {only}"] if one else [])


def directory(name: str) -> Directory:
    """The folders of a path."""
    return tuple(name.split("/")[:-1])


def common(directories: Iterable[Directory]) -> Directory:
    """The longest beginning that all have."""
    directories = list(directories)
    low, high = min(directories), max(directories)
    same = next(
        (i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high))
    )
    return low[:same]


def beside(root: Path, full: Sequence[Directory], places: dict, prefix: Directory) -> str:
    """That pictures lie beside the folders of the classes."""
    lone = next(d for d in full if places[d] and places[d][1] == prefix)
    folders = sorted(
        {place[1][len(prefix)] for place in places.values() if place and len(place[1]) > len(prefix)}
    )
    return (
        f"{root.joinpath(*lone)} holds pictures beside the folders {some(folders)}: move them into the "
        f"folder of their class"
    )


def nothing_in(root: Path, found: Found) -> str:
    """That a folder has no pictures, and what it has."""
    if found.bad:
        return f"{root} has no images that can be read: " + "; ".join(
            f"{name}: {why}" for name, why in list(found.bad.items())[:10]
        )
    archives = [name for name in found.others if PurePath(name).suffix.lower() in ARCHIVES]
    if archives:
        return f"{root} has no images; unpack {some(archives)} first"
    other = (
        f"; it holds {counted(len(found.others), 'other file')}: {some(found.others)}" if found.others else ""
    )
    return (
        f"{root} has no images (expected files such as {root / '1.png'}; known: "
        f"{', '.join(sorted(SUFFIXES))}){other}"
    )


def role(name: str) -> tuple[str, str]:
    """The split that a folder's name means, and the rest of it: seg_train is (train, seg), cat ("", cat)."""
    words = re.findall(r"[^\W\d_]+|\d+", name.lower())
    meant = [word for word in words if word in ROLES]
    if len(meant) != 1:
        return "", name
    return ROLES[meant[0]], " ".join(word for word in words if word not in ROLES)


def split_cut(root: Path, full: Sequence[Directory], bare: Sequence[Directory]):
    """The function from a directory to its split (None: not split) and its other folders.

    It gives None for a directory that lies beside the folders of the splits.
    """
    wrapped = common(full)
    refuse_lone_split(root, wrapped, full, bare)
    inner = [d[len(wrapped) :] for d in full]
    turned = by_class_first(inner)
    tops = {(i[1] if turned else i[0]) for i in inner if i}
    family = split_family(root.joinpath(*wrapped), inner, turned, tops)
    if not family:
        return lambda d: (None, d)
    for d in bare:
        if len(d) == len(wrapped) + 1 and d[:-1] == wrapped and role(d[-1])[0] and not turned:
            raise ValueError(f"{root.joinpath(*d)} has no images")

    def cut(d: Directory) -> tuple[str | None, Directory] | None:
        i = d[len(wrapped) :]
        i = (i[1], i[0], *i[2:]) if turned and len(i) > 1 else i
        i = i[1:] if len(i) > 1 and i[0] == i[1] else i  # seg_train/seg_train/cat
        return (family[i[0]], i[1:]) if i and d[: len(wrapped)] == wrapped and i[0] in family else None

    return cut


def refuse_lone_split(
    root: Path, wrapped: Directory, full: Sequence[Directory], bare: Sequence[Directory]
) -> None:
    """Refuse a folder train (or test) that holds class folders when there is no other split."""
    for i, name in enumerate(wrapped):
        lone = ROLES.get(name.lower())
        if lone is None or (i == len(wrapped) - 1 and list(full) == [wrapped]):
            continue
        top = root.joinpath(*wrapped[:i])
        for d in bare:
            if d[:-1] == wrapped[:i] and d[-1].lower() in ROLES:
                raise ValueError(f"{top / d[-1]} has no images")
        raise FileNotFoundError(
            f"{top} has a folder {name} but no folder {'test' if lone == 'train' else 'train'}; "
            f"give {top / name} itself to keep one picture in five for testing"
        )


def by_class_first(inner: Sequence[Directory]) -> bool:
    """Whether the splits lie inside the classes: cat/train/1.jpg."""
    if not all(len(i) > 1 and i[1].lower() in ROLES for i in inner):
        return False
    meant = {ROLES[i[1].lower()] for i in inner}
    return "train" in meant and len(meant) > 1 and not all(i[0].lower() in ROLES for i in inner)


def split_family(top: Path, inner: Sequence[Directory], turned: bool, tops: set[str]) -> dict[str, str]:
    """The folders that are splits -> train, val or test; empty when the folders are classes.

    Raises:
        ValueError: it is not clear which they are.
        FileNotFoundError: there are other splits and no train.
    """
    families: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in sorted(tops):
        meant, stem = role(name)
        if meant:
            families[stem][meant].append(name)
    plain = families.get("", {})
    if plain and "train" not in plain and all(role(name)[0] for name in tops):
        raise FileNotFoundError(f"{top} has a folder {sorted(tops)[0]} but no folder train")
    whole = [family for family in families.values() if "train" in family and len(family) > 1]
    splits = {name for family in whole for names in family.values() for name in names}
    others = sorted(tops - splits)
    flat = {i[0] for i in inner if len(i) == 1}
    deep = {i[0] for i in inner if len(i) > 1}
    if not whole:
        if "train" in plain and not set(plain["train"]) & flat and flat:
            why = "has folders inside, as a split would, and others have not"
            raise ValueError(ambiguous(top, plain["train"], sorted(flat), why))
        return {}
    if not turned and splits <= flat and not splits & deep and others:
        return {}
    if len(whole) > 1 or any(len(names) > 1 for names in whole[0].values()):
        raise ValueError(ambiguous(top, sorted(splits), others, "name one split more than once"))
    if not turned and splits & flat and not (splits <= flat and not splits & deep):
        why = f"{some(sorted(splits & flat))} holds pictures that are in no class folder"
        raise ValueError(ambiguous(top, sorted(splits), others, why))
    family = {names[0]: meant for meant, names in whole[0].items()}
    if "test" in whole[0]:
        return family
    return {name: "test" if meant == "val" else meant for name, meant in family.items()}


def ambiguous(top: Path, splits: Sequence[str], others: Sequence[str], why: str) -> str:
    """That folders can be splits or classes, and how to say which."""
    rest = f" beside {some(list(others))}" if others else ""
    return (
        f"{top}: cannot tell whether {some(list(splits))}{rest} are splits or classes ({why}); {HOW_TO_SAY}"
    )


def is_test(path: PurePath | str) -> bool:
    """One path in five, by its sum."""
    return digest(path) % 5 == 0


def digest(path: PurePath | str) -> int:
    """The sum of a path, a number of 256 bits."""
    name = path.as_posix() if isinstance(path, PurePath) else path
    return int(hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest(), 16)


def held_out(names: Sequence[str], labels: Sequence[int]) -> list[bool]:
    """Which pictures are for testing: one in five by the sums of their names.

    Each class has at least one in both splits where it has two or more.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    sums = [digest(name) for name in names]
    test = [number % 5 == 0 for number in sums]
    for row, label in enumerate(labels):
        groups[label].append(row)
    for rows in groups.values():
        tested = sum(test[row] for row in rows)
        if tested == 0 and len(rows) > 1:
            test[min(rows, key=sums.__getitem__)] = True
        elif tested == len(rows):
            test[max(rows, key=sums.__getitem__)] = False
    return test


def listing(names: Sequence[str], sizes: Sequence[int]) -> str:
    """The digest of the pictures' names and sizes, which costs no reading."""
    lines = "".join(f"{name} {size}\n" for name, size in zip(names, sizes, strict=True))
    return hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()
