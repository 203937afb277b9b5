import numpy as np
import pytest

from neuralsde.datamodules.irregular.archive import archive_files, read_archive_file
from neuralsde.errors import DataError
from tests.helpers.archive_files import arff_text, libras_text, random_cases, ts_text, tsv_text, write_text

FORMATS = {".ts": ts_text, ".ts.gz": ts_text, ".arff": arff_text, ".tsv.gz": tsv_text, ".data.gz": libras_text}


@pytest.mark.parametrize("ending", FORMATS)
def test_each_format_reads_back_what_was_written(tmp_path, ending):
    cases = random_cases(6, {".tsv.gz": 1, ".data.gz": 2}.get(ending, 3), 9, seed=0, ragged=ending != ".data.gz")
    path = write_text(tmp_path / f"Tiny{ending}", FORMATS[ending](cases), "latin-1")
    for found, (values, label) in zip(read_archive_file(path), cases, strict=True):
        np.testing.assert_array_equal(found.values, values)
        assert found.label == label
        assert found.times is None


def test_one_channel_in_arff_needs_no_quotes(tmp_path):
    cases = random_cases(4, 1, 5, seed=1)
    found = read_archive_file(write_text(tmp_path / "One.arff", arff_text(cases)))
    np.testing.assert_array_equal(found[2].values, cases[2][0])


def test_unknown_values_stay_unknown_and_padding_goes(tmp_path):
    values = np.array([[1.0, 2], [np.nan, 3], [4, np.nan], [np.nan, np.nan]])
    (found,) = read_archive_file(write_text(tmp_path / "Gap.ts", ts_text([(values, "a")], missing="true")))
    np.testing.assert_array_equal(found.values, values[:3])


def test_times_of_channels_are_put_together(tmp_path):
    text = "@timeStamps true\n@classLabel true up down\n@data\n(0,1.5),(2.5,2),(3,?):(2.5,-1),(1,4):up\n"
    (found,) = read_archive_file(write_text(tmp_path / "Stamped.ts", text))
    np.testing.assert_array_equal(found.times, [0, 1, 2.5])
    np.testing.assert_array_equal(found.values, [[1.5, np.nan], [np.nan, 4], [2, -1]])


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.ts", "@classLabel true a b\n1,2:a\n", "no line `@data`"),
        ("a.ts", "@classLabel false\n@data\n1,2\n", "does not say `@classLabel true`"),
        ("a.ts", "@classLabel true a b\n@data\n1,2:a\n1,x:b\n", "line 4: value 2 is `x`"),
        ("a.ts", "@classLabel true a b\n@data\n1,2:3:a\n", "line 3: channels have \\[1, 2\\] values"),
        ("a.ts", "@classLabel true a b\n@data\n1,2:c\n", "class `c`, which the header does not name"),
        ("a.ts", "@dimensions 2\n@classLabel true a b\n@data\n1,2:a\n", "1 channels, but the header says 2"),
        ("a.ts", "@equalLength true\n@classLabel true a\n@data\n1,2:a\n1,2,3:a\n", "series 1 has 3 values"),
        ("a.ts", "@classLabel true a\n@data\n1,2", "no `:` before a class label"),
        ("a.ts", "@classLabel true a\n@data\n?,?:a", "not one value"),
        ("a.ts", "@classLabel true a\n@timeStamps true\n@data\n(1,2),(1,3):a", "has a time twice"),
        ("a.ts", "@classLabel true a\n@data\n", "holds no series"),
        ("a.arff", "@relation x\n", "no line `@data`"),
        ("a.arff", "@data\n12\n", "no `,` before a class label"),
        ("a.tsv", "1,2,3\n", "no tab after the class label"),
        ("a.tsv", "a\t1\tinf\n", "value 2 is infinite"),
        ("a.tsv", "\t1\t2\n", "no class label"),
        ("a.data", "classLast\n1,2,3,9\n", "3 values before the label"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path, name, text, sentence):
    with pytest.raises(DataError, match=sentence):
        read_archive_file(write_text(tmp_path / name, text))


def test_damaged_compression_is_said(tmp_path):
    path = write_text(tmp_path / "a.ts.gz", ts_text(random_cases(4, 1, 50, seed=0)))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="damaged or cut short"):
        read_archive_file(path)


def test_files_are_found_in_the_folder_or_its_subfolder(tmp_path):
    with pytest.raises(DataError, match="There is no folder"):
        archive_files(tmp_path / "none", "Tiny")
    with pytest.raises(DataError, match="holds no Tiny_TRAIN"):
        archive_files(tmp_path, "Tiny")
    train = write_text(tmp_path / "Tiny" / "Tiny_TRAIN.ts", "")
    with pytest.raises(DataError, match="but not its other part"):
        archive_files(tmp_path, "Tiny")
    test = write_text(tmp_path / "Tiny" / "Tiny_TEST.ts.gz", "")
    assert archive_files(tmp_path, "Tiny") == [train, test]
    assert archive_files(tmp_path / "Tiny", "Tiny") == [train, test]
