"""Data files that declare what they do not hold, or point outside themselves."""

import io
import struct
import zipfile

import h5py
import numpy as np
import pytest

from neuralsde.datamodules.arrays.file import open_arrays
from neuralsde.datamodules.lorenz_file import LorenzFile
from neuralsde.datamodules.memory import machine_bytes, readable, refuse_enormous
from neuralsde.datamodules.moving_digits import read_font
from neuralsde.datamodules.nwb import hdf5, heaps
from neuralsde.errors import DataError
from tests.fuzz.archives import header, packed


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.h5"


def read(path, name="x"):
    with hdf5.open_hdf5(path) as file:
        dataset = hdf5.dataset_in(file, name)
        return None if dataset is None else hdf5.read(dataset)


def write(path, fill):
    with h5py.File(path, "w") as file:
        fill(file)
    return path


def test_a_kilobyte_that_declares_a_terabyte_is_refused(path):
    write(path, lambda f: f.create_dataset("x", (10**12,), "f8", chunks=(4096,)))
    assert path.stat().st_size < 3000
    with pytest.raises(DataError, match=r"`/x` would take 8 TB, which a file of .* kB cannot hold"):
        read(path)


def test_pieces_of_gigabytes_are_refused(path):
    write(path, lambda f: f.create_dataset("x", (10,), "u1", maxshape=(None,), chunks=(10**9,), compression="gzip"))
    with pytest.raises(DataError, match="would take 1 GB"):
        read(path)


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        (h5py.ExternalLink("/dev/zero", "/x"), "is a link to another file, which is not followed"),
        (h5py.SoftLink("/x"), "leads back to itself"),
    ],
)
def test_links_are_followed_inside_the_file_only(path, link, sentence):
    with h5py.File(path, "w") as file:
        file["x"] = link
    with pytest.raises(DataError, match=sentence):
        read(path)


def test_links_inside_the_file_are_followed(path):
    with h5py.File(path, "w") as file:
        file["group/there"], file["group/x"] = [1, 2], h5py.SoftLink("there")
        file["x"], file["lost"] = h5py.SoftLink("/group/x"), h5py.SoftLink("/nowhere")
    assert read(path).tolist() == [1, 2]
    assert read(path, "lost") is None


def virtual(file):
    layout = h5py.VirtualLayout((3,), "f8")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", (3,))
    file.create_virtual_dataset("x", layout)


@pytest.mark.parametrize("fill", [virtual, lambda f: f.create_dataset("x", (9,), "u1", external=[("/etc/passwd", 0, 9)])])
def test_bytes_of_other_files_are_not_read(path, fill):
    write(path, fill)
    with pytest.raises(DataError, match="lies in another file, which is not read"):
        read(path)


def test_a_heap_of_texts_without_an_end_is_refused(path):
    write(path, lambda f: f.create_dataset("x", data=["text"] * 3, dtype=h5py.string_dtype()))
    content = bytearray(path.read_bytes())
    at = content.find(heaps.SIGNATURE) + heaps.HEADER
    assert read(path).tolist() == [b"text"] * 3  # the control
    content[at : at + 16] = struct.pack("<HHIQ", 0, 0, 0, 0)  # an object of no length: libhdf5 2.0 never gets past it
    path.write_bytes(content)
    with pytest.raises(DataError, match="the heap of texts at byte"):
        read(path)


def test_many_texts_that_share_their_bytes_are_refused(path):
    """Each row of 16 bytes points to the same 200 kB: 4000 rows would be 800 MB."""
    write(path, lambda f: f.create_dataset("x", data=["a" * 200_000] + ["b"] * 3999, dtype=h5py.string_dtype()))
    with h5py.File(path) as file:
        at = file["x"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[at : at + 16 * 4000] = bytes(content[at : at + 16]) * 4000
    path.write_bytes(content)
    with pytest.raises(DataError, match="which a file of"):
        read(path)


def test_more_texts_than_a_file_can_hold_are_refused(path):
    write(path, lambda f: f.create_dataset("x", (4_000_000,), h5py.string_dtype(), chunks=(4096,)))
    with pytest.raises(DataError, match=r"would take 1\.02 GB"):
        read(path)


def test_sizes_are_held_against_the_machine_too(path):
    path.write_bytes(b"x" * 1000)
    refuse_enormous(1000, path, "it")
    with path.open("r+b") as file:
        file.truncate(machine_bytes())  # takes no room
    with pytest.raises(DataError, match="of memory; give less data"):
        refuse_enormous(2 * machine_bytes(), path, "it")
    assert [readable(n) for n in (5, 1500, 10**12)] == ["5 bytes", "1.5 kB", "1 TB"]


def archive_of(tmp_path, content, packing=zipfile.ZIP_STORED):
    (tmp_path / "file.npz").write_bytes(packed({"x.npy": content}, packing))
    return tmp_path / "file.npz"


def described(shape, descr="'<f8'"):
    return header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (described("(1000000000000,)"), "declares 8000000000000 bytes, but there are 0"),
        (described("(-1,)"), "declares -8 bytes"),
        (described("(2, 3"), "cannot be read"),
        (described("(1,)", "'|O'"), "cannot be read"),
        (b"\x93NUMPY\x03\x00", "cannot be read"),
    ],
)
def test_headers_that_lie_are_refused(tmp_path, content, sentence):
    with open_arrays(archive_of(tmp_path, content)) as file, pytest.raises(DataError, match=sentence):
        file.numbers("x", "spikes")


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(1000))
    path = archive_of(tmp_path, buffer.getvalue(), zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 2**31)  # the directory says two gigabytes
    path.write_bytes(content)
    with open_arrays(path) as file, pytest.raises(DataError, match=r"would take 2\.15 GB"):
        file.numbers("x", "spikes")


def test_rates_without_a_mean_are_refused(tmp_path):
    with h5py.File(tmp_path / "made.h5", "w") as file:
        for split in ("train", "valid"):
            file[f"{split}_data"], file[f"{split}_truth"] = np.ones((4, 3, 2)), np.zeros((4, 3, 2))
    with pytest.raises(DataError, match="both have to be finite and above 0"):
        LorenzFile(tmp_path / "made.h5", 2).setup()


@pytest.mark.parametrize("dtype", [np.dtype(("f8", (3,))), np.dtype([("a", "f8")]), np.dtype("V7")])
def test_entries_of_several_values_are_refused(path, dtype):
    write(path, lambda f: f.create_dataset("x", (4,), dtype))
    with pytest.raises(DataError, match="several values in each entry"):
        read(path)


def test_words_in_place_of_numbers_are_refused_unread(path):
    write(path, lambda f: f.create_dataset("x", data=["a", "b"], dtype=h5py.string_dtype()))
    with open_arrays(path) as file, pytest.raises(DataError, match="holds words or lists; numbers are needed"):
        file.numbers("x", "spikes")


def test_digits_that_say_they_are_encrypted_are_refused(tmp_path):
    """Found by coverage: a flag of the archive's directory."""
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((6, 4, 4), np.uint8))
    content = bytearray(packed({"x_train.npy": buffer.getvalue(), "x_test.npy": buffer.getvalue()}))
    at = content.find(b"PK\x01\x02")
    content[at + 8] |= 1
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_font(tmp_path / "mnist.npz", 4)
