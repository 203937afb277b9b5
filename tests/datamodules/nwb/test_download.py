"""The downloader against a server on this machine that speaks the archive's interface."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

import pytest
from omegaconf import OmegaConf

from neuralsde.datamodules.nwb import download as module
from neuralsde.datamodules.nwb.download import download, known_names, pinned_files
from neuralsde.errors import DataError
from tests.helpers.shared import shared_path

CONTENT = bytes(range(256)) * 4096 * 3  # 3 MiB
PATH = "sub-Fake/sub-Fake_desc-train_behavior+ecephys.nwb"
NAME = "sub-Fake_desc-train_behavior+ecephys.nwb"


class Archive(BaseHTTPRequestHandler):
    """Lists one asset and serves it, wholly or from where it is asked; the server object says how it misbehaves."""

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range")))
        url = urlparse(self.path)
        if url.path.startswith("/dandisets/000140/versions/0.1/assets"):
            asked = parse_qs(url.query)["path"][0]
            return self.answer(200, json.dumps({"results": [{"path": asked, "asset_id": "abc"}]}).encode())
        if url.path != "/assets/abc/download/":
            return self.answer(404, b"")
        start = int((self.headers.get("Range") or "bytes=0-").split("=")[1].rstrip("-"))
        content = self.server.content
        if self.server.break_off_at and start < self.server.break_off_at:
            return self.answer(200, content[start : self.server.break_off_at], claimed=len(content) - start)
        self.answer(206 if start else 200, content[start:])

    def answer(self, status, body, claimed=None):
        self.send_response(status)
        self.send_header("Content-Length", str(claimed or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def archive():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    server.content, server.break_off_at, server.requests = CONTENT, 0, []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def manifest(tmp_path):
    entry = {"path": PATH, "bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    path = tmp_path / "manifest.yaml"
    OmegaConf.save({"nlb_fake": {"dandiset": "000140", "version": "0.1", "files": [entry]}}, path)
    return path


def fetch(archive, manifest, folder):
    return download("nlb_fake", folder, archive=archive.url, manifest=manifest, show_progress=False)


def test_fetches_verifies_and_keeps(archive, manifest, tmp_path):
    (path,) = fetch(archive, manifest, tmp_path / "data")
    assert path == tmp_path / "data" / NAME
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == [NAME]
    archive.requests.clear()
    assert fetch(archive, manifest, tmp_path / "data") == [path]
    assert archive.requests == []


def test_resumes_where_it_broke_off(archive, manifest, tmp_path):
    archive.break_off_at = 1 << 20
    with pytest.raises(DataError, match=r"broke off.*python -m neuralsde download nlb_fake"):
        fetch(archive, manifest, tmp_path)
    assert not (tmp_path / NAME).exists()
    assert (tmp_path / f".{NAME}.part").stat().st_size == 1 << 20
    (path,) = fetch(archive, manifest, tmp_path)
    assert path.read_bytes() == CONTENT
    assert archive.requests[-1] == ("/assets/abc/download/", f"bytes={1 << 20}-")


def test_a_corrupted_file_is_removed(archive, manifest, tmp_path):
    archive.content = CONTENT[:-1] + b"x"
    with pytest.raises(DataError, match="SHA-256 differs"):
        fetch(archive, manifest, tmp_path)
    assert list(tmp_path.glob("*.nwb")) == []
    assert list(tmp_path.glob(".*")) == []


def test_a_damaged_local_file_is_fetched_again(archive, manifest, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT[:100])
    (path,) = fetch(archive, manifest, tmp_path)
    assert path.read_bytes() == CONTENT


def test_no_network(manifest, tmp_path):
    with pytest.raises(DataError, match=r"cannot be reached.*`python -m neuralsde download nlb_fake`"):
        download("nlb_fake", tmp_path, archive="http://127.0.0.1:9", manifest=manifest, show_progress=False)


def test_an_error_page(archive, manifest, tmp_path):
    with pytest.raises(DataError, match=r"answered 404.*python -m neuralsde download nlb_fake"):
        download("nlb_fake", tmp_path, archive=f"{archive.url}/gone", manifest=manifest, show_progress=False)


def test_no_space(archive, manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    with pytest.raises(DataError, match="only 0 MB are free"):
        fetch(archive, manifest, tmp_path)
    assert list(tmp_path.glob("*.nwb")) + list(tmp_path.glob(".*")) == []


def test_unknown_name():
    with pytest.raises(DataError, match="perhaps `nlb_mc_maze`"):
        download("nlb_mc_maz", show_progress=False)


def test_the_manifest_is_whole():
    files = [file for name in known_names() for file in pinned_files(name)]
    assert len(files) == 14
    assert all(len(file.sha256) == 64 and file.bytes > 0 and file.path.startswith("sub-") for file in files)


def test_the_pin_of_a_genuine_file():
    path = shared_path("data/neural/sub-Jenkins_ses-small_desc-test_ecephys.nwb")
    (file,) = [file for file in pinned_files("nlb_mc_maze_small") if file.name == path.name]
    assert module.checksum(path) == file.sha256
    assert path.stat().st_size == file.bytes


@pytest.mark.parametrize("path", ["sub/..", "..", "sub/", ""])
def test_a_name_that_is_no_file_in_the_folder_is_refused(tmp_path, path):
    entry = {"path": path, "bytes": 1, "sha256": "0" * 64}
    OmegaConf.save({"nlb_fake": {"dandiset": "0", "version": "0", "files": [entry]}}, tmp_path / "manifest.yaml")
    with pytest.raises(DataError, match="names no file inside the data folder"):
        pinned_files("nlb_fake", tmp_path / "manifest.yaml")


def test_an_answer_without_end_is_cut_off_and_removed(archive, manifest, tmp_path, monkeypatch):
    archive.content = CONTENT * 4
    monkeypatch.setattr(module, "BLOCK_BYTES", 1 << 16)
    sizes = []
    monkeypatch.setattr(
        module, "verify", lambda part, file, check=module.verify: (sizes.append(part.stat().st_size), check(part, file))
    )
    with pytest.raises(DataError, match="is not the pinned file"):
        fetch(archive, manifest, tmp_path / "data")
    assert len(CONTENT) < sizes[0] <= len(CONTENT) + (1 << 16)
    assert list((tmp_path / "data").iterdir()) == []
