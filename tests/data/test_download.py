"""Files of the named sets: found, fetched, checked."""

import contextlib
import gzip
import hashlib
import http.server
import io
import subprocess
import sys
import tarfile
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import requests
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
    (folder / "hello.txt.gz").write_bytes(gzip.compress(b"hello", mtime=0))
    assert downloads.read(HELLO) == b"hello"
    (folder / "hello.txt").write_bytes(b"hello")
    assert downloads.path(HELLO) == folder / "hello.txt"


def test_another_content_is_refused_with_both_sums(folder):
    (folder / "hello.txt").write_bytes(b"goodbye")
    with pytest.raises(ValueError, match=rf"hello.txt is damaged or another file: expected content with sha256 {HELLO.sha256}, found"):
        downloads.read(HELLO)


@pytest.mark.parametrize("damage", [lambda packed: packed[:-9], lambda packed: b"<html>" + packed, lambda packed: packed[:20] + b"\0" + packed[21:]])
def test_a_damaged_gzip_file_is_refused_with_its_name(folder, damage):
    (folder / "hello.txt.gz").write_bytes(damage(gzip.compress(b"hello" * 100, mtime=0)))
    with pytest.raises(ValueError, match=r"hello.txt.gz is damaged: expected a whole gzip file"):
        downloads.read(HELLO)


def test_a_named_file_that_unpacks_to_more_than_it_should_is_refused_before_it_is_read(folder):
    file = sets.File("hello.txt", HELLO.address, HELLO.sha256, 5)
    (folder / "hello.txt.gz").write_bytes(gzip.compress(b"hello", mtime=0))
    assert downloads.read(file) == b"hello"
    (folder / "hello.txt.gz").write_bytes(gzip.compress(b"\0" * 2_000_000, mtime=0))
    large = gzip.compress(b"\0" * 200_000_000, mtime=0)
    tracemalloc.start()
    with pytest.raises(ValueError, match="unpacks to more than the 5 bytes expected of it"):
        downloads.read(file)
    (folder / "hello.txt.gz").write_bytes(large)
    with pytest.raises(ValueError, match=r"hello.txt.gz is damaged or another file: it has 194,\d+ bytes, expected 4,101"):
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


@pytest.fixture
def server(folder, monkeypatch):
    """What a web server on this machine gives: path -> the bytes, or a function of the request's handler."""
    pages, asked = {}, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            page = pages.get(self.path)
            if callable(page):
                page(self)
                return
            self.send_response(200 if page is not None else 404)
            self.send_header("Content-Length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(downloads, "session", requests.Session)
        yield SimpleNamespace(pages=pages, asked=asked, address=f"http://127.0.0.1:{running.server_port}",
                              left=lambda: sorted(p.name for p in (folder / "cache").glob("*")))
        running.shutdown()
        thread.join()


def served(server, name, content, size=0, page=None):
    """A file of the server whose right content is given; the server gives `page`."""
    server.pages[f"/{name}"] = content if page is None else page
    unpacked = gzip.decompress(content) if name.endswith(".gz") else content
    return sets.File(name, f"{server.address}/{name}", hashlib.sha256(unpacked).hexdigest(), size)


def test_a_file_is_fetched_once_and_kept(server):
    for name, sent in {"hello.txt": b"hello", "hello.gz": gzip.compress(b"hello", mtime=0)}.items():
        file = served(server, name, sent, size=5)
        assert [downloads.read(file) for _ in range(2)] == [b"hello", b"hello"]
        assert server.asked == [f"/{name}"]
        server.asked.clear()
    assert server.left() == ["hello.gz", "hello.txt"]


@pytest.mark.parametrize(("name", "page", "words"), [
    ("hello.txt", b"goodbye", "is damaged or another file: expected content with sha256"),
    ("hello.gz", gzip.compress(b"jello", mtime=0), "is damaged or another file: expected content with sha256"),
    ("hello.gz", b"<html>not found</html>", "is damaged: expected a whole gzip file"),
    ("hello.gz", gzip.compress(b"hello", mtime=0)[:-9], "is damaged: expected a whole gzip file"),
    ("hello.gz", gzip.compress(b"\0" * 2_000_000, mtime=0), "unpacks to more than the 5 bytes expected of it at most"),
])
def test_a_wrong_download_is_named_and_not_kept_and_does_not_block(server, name, page, words):
    right = gzip.compress(b"hello", mtime=0) if name.endswith(".gz") else b"hello"
    file = served(server, name, right, size=5, page=page)
    with pytest.raises(ValueError, match=words) as error:
        downloads.read(file)
    assert str(error.value).startswith(file.address)
    assert "it was not kept; fetch" in str(error.value)
    assert server.left() == []
    server.pages[f"/{name}"] = right
    assert downloads.read(file) == b"hello"


def test_no_more_is_taken_than_a_file_may_have(server):
    sent = []

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while len(sent) < 1_000:
                handler.wfile.write(b"\0" * 100_000)
                sent.append(1)

    file = served(server, "hello.txt", b"hello", size=5, page=endless)
    with pytest.raises(ValueError, match=r"gives more than the 4,101 bytes that hello\.txt may have; it was not kept"):
        downloads.read(file)
    assert len(sent) < 1_000
    assert server.left() == []


def test_a_download_that_breaks_off_leaves_nothing(server, monkeypatch):
    def short(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "500000")
        handler.end_headers()
        handler.wfile.write(b"h" * 300_000)

    file = served(server, "hello.txt", b"h" * 500_000, page=short)
    with pytest.raises(FileNotFoundError, match=r"could not download hello.txt \(\w+\); fetch .* by hand"):
        downloads.read(file)
    assert server.left() == []
    del server.pages["/hello.txt"]
    with pytest.raises(FileNotFoundError, match=r"could not download hello.txt \(the server answered 404\)"):
        downloads.read(file)
    server.pages["/hello.txt"] = b"h" * 500_000

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(downloads, "check", interrupted)
        with pytest.raises(KeyboardInterrupt):
            downloads.read(file)
    assert server.left() == []
    assert downloads.read(file) == b"h" * 500_000


def test_a_file_of_the_cache_that_was_damaged_is_removed_and_one_of_the_users_own_is_not(server, folder):
    file = served(server, "hello.txt", b"hello")
    downloads.read(file)
    (folder / "cache" / "hello.txt").write_bytes(b"goodbye")
    with pytest.raises(ValueError, match="it was removed, the next run fetches it again"):
        downloads.read(file)
    assert server.left() == []
    assert downloads.read(file) == b"hello"
    (folder / "hello.txt").write_bytes(b"goodbye")
    with pytest.raises(ValueError, match="put the right one in its place"):
        downloads.read(file)
    assert (folder / "hello.txt").exists()


def test_downloads_at_once_do_not_harm_each_other(server):
    gate = threading.Barrier(4, timeout=30)

    def slow(handler):
        gate.wait()
        handler.send_response(200)
        handler.send_header("Content-Length", "500000")
        handler.end_headers()
        for _ in range(5):
            handler.wfile.write(b"h" * 100_000)
            handler.wfile.flush()
            gate.wait()

    file = served(server, "hello.txt", b"h" * 500_000, page=slow)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(downloads.read, [file] * 4)) == [b"h" * 500_000] * 4
    assert server.left() == ["hello.txt"]


def test_nothing_is_fetched_over_plain_http(folder, monkeypatch):
    class Redirected(requests.adapters.BaseAdapter):
        def send(self, request, **_):
            answer = requests.Response()
            answer.status_code, answer.url, answer.request = 302, request.url, request
            answer.headers["Location"] = "http://127.0.0.1:9/hello.txt"
            answer.raw = io.BytesIO()
            return answer

        def close(self):
            pass

    plain = sets.File("hello.txt", "http://127.0.0.1:9/hello.txt", HELLO.sha256)
    with pytest.raises(FileNotFoundError, match=r"could not download hello.txt \(InvalidSchema\)"):
        downloads.read(plain)
    made = downloads.session()
    made.mount("https://", Redirected())
    monkeypatch.setattr(downloads, "session", lambda: made)
    with pytest.raises(FileNotFoundError, match=r"could not download hello.txt \(InvalidSchema\)"):
        downloads.read(HELLO)
    assert not list((folder / "cache").glob("*"))


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
        assert all(len(file.sha256) == 64 and file.address.startswith("https://") for file in one.files)


def test_idx_is_read_and_a_misshaped_one_refused():
    content = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])
    assert idx(content, "x").tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(ValueError, match=r"x: expected 6 values for shape \(2, 3\), found 5"):
        idx(content[:-1], "x")
    with pytest.raises(ValueError, match="x: expected an idx file of bytes"):
        idx(b"PK\3\4 something", "x")


def test_a_truncated_mnist_file_is_refused(folder):
    for file in sets.SETS["mnist"].files:
        (folder / file.name).write_bytes(gzip.compress(b"\0\0\x08\1\0\0\0\1\7", mtime=0)[:-4])
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
