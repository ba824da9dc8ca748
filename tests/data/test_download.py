"""Files of the named sets: found, fetched, checked."""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tracemalloc

import pytest
import torch

from deepcanon.data import downloads, images, sets
from deepcanon.data.pictures import cifar10_binary, cifar10_npz, idx

HELLO = sets.File("hello.txt", "https://example.invalid/hello.txt", hashlib.sha256(b"hello").hexdigest())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPCANON_DATA", str(tmp_path))
    monkeypatch.setattr(downloads, "cache", lambda: tmp_path / "cache")
    return tmp_path


def test_a_file_by_hand_is_found_packed_or_not(folder):
    (folder / "hello.txt.gz").write_bytes(gzip.compress(b"hello"))
    assert downloads.read(HELLO) == b"hello"
    (folder / "hello.txt").write_bytes(b"hello")
    assert downloads.path(HELLO) == folder / "hello.txt"


def test_another_content_is_refused_with_both_sums(folder):
    (folder / "hello.txt").write_bytes(b"goodbye")
    with pytest.raises(ValueError, match=rf"hello.txt is damaged or another file: expected content with sha256 {HELLO.sha256}, found"):
        downloads.read(HELLO)


@pytest.mark.parametrize("damage", [lambda packed: packed[:-9], lambda packed: b"<html>" + packed, lambda packed: packed[:20] + b"\0" + packed[21:]])
def test_a_damaged_gzip_file_is_refused_with_its_name(folder, damage):
    (folder / "hello.txt.gz").write_bytes(damage(gzip.compress(b"hello" * 100)))
    with pytest.raises(ValueError, match=r"hello.txt.gz is damaged: expected a whole gzip file"):
        downloads.read(HELLO)


def test_a_named_file_that_unpacks_to_more_than_it_should_is_refused_before_it_is_read(folder):
    file = sets.File("hello.txt", HELLO.address, HELLO.sha256, 5)
    (folder / "hello.txt.gz").write_bytes(gzip.compress(b"hello"))
    assert downloads.read(file) == b"hello"
    (folder / "hello.txt.gz").write_bytes(gzip.compress(b"\0" * 200_000_000))
    tracemalloc.start()
    with pytest.raises(ValueError, match="unpacks to more than the 5 bytes expected of it"):
        downloads.read(file)
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()


def test_sizes_are_written_beside_the_packed_files_of_known_sets():
    assert all(file.size for one in sets.SETS.values() for file in one.files if file.name.endswith(".gz") and ".tar" not in file.name)


def test_without_network_one_line_says_what_to_do(folder, monkeypatch):
    def unreachable(*args, **kwargs):
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("pooch.retrieve", unreachable)
    with pytest.raises(FileNotFoundError, match=r"could not download hello.txt") as error:
        downloads.read(HELLO)
    assert HELLO.address in str(error.value)
    assert "DEEPCANON_DATA" in str(error.value)
    assert "\n" not in str(error.value)


def test_get_and_where(folder, monkeypatch):
    monkeypatch.setitem(sets.SETS, "hello", sets.DataSet("hello", "text", "a greeting", "CC0", (HELLO,)))
    assert downloads.where("hello") == []

    def fetch(address, known_hash, fname, path, **more):
        path.mkdir()
        (path / fname).write_bytes(b"hello")

    monkeypatch.setattr("pooch.retrieve", fetch)
    assert downloads.get("hello") == [folder / "cache" / "hello.txt"] == downloads.where("hello")


def test_the_catalogue_needs_no_torch():
    code = "import sys; from deepcanon.data import sets, downloads; assert sets.names('text'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_set_is_described():
    for name, one in sets.SETS.items():
        assert name == one.name
        assert one.about
        assert one.licence
        assert all(len(file.sha256) == 64 and file.address.startswith("http") for file in one.files)


def test_idx_is_read_and_a_misshaped_one_refused():
    content = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])
    assert idx(content, "x").tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(ValueError, match=r"x: expected 6 values for shape \(2, 3\), found 5"):
        idx(content[:-1], "x")
    with pytest.raises(ValueError, match="x: expected an idx file of bytes"):
        idx(b"PK\3\4 something", "x")


def test_a_truncated_mnist_file_is_refused(folder):
    for file in sets.SETS["mnist"].files:
        (folder / file.name).write_bytes(gzip.compress(b"\0\0\x08\1\0\0\0\1\7")[:-4])
    with pytest.raises(ValueError, match=r"mnist-train-images-idx3-ubyte.gz is damaged"):
        images("mnist").at(0)


def test_cifar10_from_the_binary_archive():
    def member(name, label):
        row = bytes([label]) + bytes(range(256)) * 12
        info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
        info.size = len(row)
        return info, io.BytesIO(row)

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for i in range(1, 6):
            archive.addfile(*member(f"data_batch_{i}.bin", i))
        archive.addfile(*member("test_batch.bin", 9))
    train, test = (cifar10_binary(stream.getvalue(), split) for split in ("train", "test"))
    assert train.y.tolist() == [1, 2, 3, 4, 5]
    assert test.y.tolist() == [9]
    assert torch.equal(test.x[0], torch.arange(3072).remainder(256).to(torch.uint8).view(3, 32, 32))


def test_a_misshaped_cifar10_is_refused(tmp_path):
    import numpy as np

    np.savez(tmp_path / "cifar10.npz", x=np.zeros((4, 32, 32, 3), np.float32), label=np.zeros(4), n_train=2)
    with pytest.raises(ValueError, match=r"expected x as uint8 \(60000, 32, 32, 3\), found float32 \(4, 32, 32, 3\)"):
        cifar10_npz(tmp_path / "cifar10.npz", "train")
