"""Label files as text tables: every line is a record, a quarantined line or the reason to refuse the file."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from fairprof.data.sources.tables import read_table

HEADER = "image,gender\n"


@pytest.fixture
def read(tmp_path):
    def read(content: str | bytes, name: str = "t.csv", required=("image", "gender")):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path, required)

    return read


@pytest.mark.parametrize(
    ("text", "records", "malformed_lines"),
    [
        (HEADER + "a,m\nb,f\n", [("a", "m", 2), ("b", "f", 3)], {}),
        (HEADER + "a,m\nb,f", [("a", "m", 2), ("b", "f", 3)], {}),
        (HEADER + "\na,m\n\n\nb,f\n\n", [("a", "m", 3), ("b", "f", 6)], {}),
        (HEADER + "a,m\n,\nb,f\n", [("a", "m", 2), ("b", "f", 4)], {}),
        (HEADER + "a\nb,f\nc,f,x,y\nd,\n", [("b", "f", 3), ("d", "", 5)], {2: "1 cells", 4: "4 cells"}),
        ("\ufeff" + HEADER + "a,m\n", [("a", "m", 2)], {}),
        ((HEADER + "a,m\nb\nc,f\n").replace("\n", "\r\n"), [("a", "m", 2), ("c", "f", 4)], {3: "1 cells"}),
        (HEADER + '"a, ""b"".jpg",m\n', [('a, "b".jpg', "m", 2)], {}),
        (HEADER + "007,1e3\nNA,null\nTrue,9-Mar\n", [("007", "1e3", 2), ("NA", "null", 3), ("True", "9-Mar", 4)], {}),
        (HEADER + "ünï.jpg,女\n", [("ünï.jpg", "女", 2)], {}),
    ],
    ids=["plain", "no last newline", "blank lines", "empty record", "ragged", "BOM", "CRLF", "quotes", "text", "UTF-8"],
)
def test_every_line_is_a_record_or_malformed(read, text, records, malformed_lines):
    table, malformed = read(text)
    assert list(table[["image", "gender", "line"]].itertuples(index=False, name=None)) == records
    assert malformed["line"].tolist() == list(malformed_lines)
    assert all(text in reason for text, reason in zip(malformed_lines.values(), malformed["reason"], strict=True))


def test_lines_are_numbered_across_a_large_file(read):
    lines = ["image,gender", *(f"image-{number:060d}.jpg,m" for number in range(60_000))]  # four megabytes
    broken = [10, 20_000, 20_001, 59_999]
    for line in broken:
        lines[line - 1] = "x,y,z"
    table, malformed = read("\n".join(lines))
    assert malformed["line"].tolist() == broken
    expected = [f"image-{line - 2:060d}.jpg" for line in table["line"]]
    assert table["image"].tolist() == expected
    assert sorted([*table["line"], *broken]) == list(range(2, 60_002))


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("", ["t.csv", "Empty CSV file"]),
        (HEADER, ["t.csv", "no rows"]),
        (HEADER + "\n\n", ["t.csv", "no rows"]),
        ("image;gender\na;m\n", ["t.csv", "missing column image", "it has image;gender)"]),
        ("image,Gender\na,m\n", ["t.csv", "missing column gender", "it has image, Gender)"]),
        ("image,gender,image\na,m,b\n", ["t.csv", "column image occurs twice"]),
        ((HEADER + "a,m\né,m\n").encode("latin-1"), ["t.csv, line 3", "UTF-8"]),
        ("imagé,gender\na,m\n".encode("latin-1"), ["t.csv", "UTF-8"]),
        ((HEADER + "a,m\n").encode("utf-16"), ["t.csv", "UTF-8"]),
        ((HEADER + "a,m\n" * 500_000 + "é,m\n").encode("latin-1"), ["t.csv, line 500002", "UTF-8"]),
        (HEADER.encode() + b"a,m\n\xff\nb,f\n", ["t.csv, line 3", "UTF-8"]),
        ("a," * 200_000 + "\n", ["t.csv", "more than 10,000 columns"]),
        (",".join(f"c{number}" for number in range(9_000)) + "\n1\n", ["missing column image", "c19, ...)"]),
        (HEADER + 'a,m\n"b,m\nc,f\nd,m\n', ["t.csv, line 3", "quotation mark"]),
        (HEADER + 'a,m\nb,"m\nc,f\nd,m\n', ["t.csv, line 3", "quotation mark"]),
        (HEADER + 'a\n"b\nc",f\n', ["t.csv, line 3", "quotation mark"]),
    ],
)
def test_files_that_are_no_table_are_refused_with_their_name(read, refused, content, texts):
    with refused(*texts):
        read(content)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_damaged_parquet_is_refused_with_its_name(read, refused, content):
    with refused("t.parquet", "not a readable table"):
        read(content, "t.parquet")


def test_parquet_becomes_text_with_rows_counted_from_one(tmp_path):
    table = pyarrow.table({"image": ["a", None, "c"], "gender": pyarrow.array([1, 0, None]), "age": [3.0, np.nan, 70]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    records, malformed = read_table(tmp_path / "t.parquet", ("image",))
    assert records["line"].tolist() == [1, 2, 3] and malformed.empty
    assert records["image"].tolist() == ["a", "", "c"]
    assert records["gender"].tolist() == ["1", "0", ""]  # not 1.0 because a cell is empty
    assert records["age"].tolist() == ["3.0", "", "70.0"]


def test_parquet_without_a_column_or_a_row_is_refused(tmp_path, refused):
    pd.DataFrame({"image": ["a"]}).to_parquet(tmp_path / "t.parquet")
    with refused("t.parquet", "missing column gender", "it has image)"):
        read_table(tmp_path / "t.parquet", ("image", "gender"))
    pd.DataFrame({"image": pd.Series([], dtype=str)}).to_parquet(tmp_path / "t.parquet")
    with refused("t.parquet", "no rows"):
        read_table(tmp_path / "t.parquet", ("image",))


NESTED = {
    "list": pyarrow.array([["a"], ["b"]]),
    "struct": pyarrow.array([{"a": 1}, {"a": 2}]),
    "map": pyarrow.array([[("a", 1)], []], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
    "fixed_size_list": pyarrow.array([[1, 2], [3, 4]], pyarrow.list_(pyarrow.int8(), 2)),
    "binary": pyarrow.array([b"a", b"\xff"]),
    "arrow.uuid": pyarrow.array([b"0" * 16] * 2, pyarrow.uuid()),
}


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("name", ["gender", "person"])
def test_a_nested_column_is_named_with_its_type(tmp_path, refused, kind, name):
    columns = {"image": ["a.png", "b.png"], "gender": ["m", "f"], name: NESTED[kind]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    with refused(f"t.parquet: the column {name} is of type", kind, "one text in each row"):
        read_table(tmp_path / "t.parquet", ("image", "gender"))


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pyarrow.array(["u", None]).dictionary_encode(), ["u", ""]),
        (pyarrow.array([1, None]), ["1", ""]),
        (pyarrow.array([True, False]), ["True", "False"]),
        (pyarrow.nulls(2), ["", ""]),
        (pyarrow.array([Decimal("1.50"), None]), ["1.50", ""]),
        (pyarrow.array([0, None], pyarrow.date32()), ["1970-01-01", ""]),
        (pyarrow.array(["1", "2"], pyarrow.json_(pyarrow.string())), ["1", "2"]),
        (pyarrow.array(["a", "b"], pyarrow.string_view()), ["a", "b"]),
        (pyarrow.array(["a", "b"], pyarrow.large_string()), ["a", "b"]),
    ],
    ids=str,
)
def test_columns_of_texts_numbers_and_dates_are_read_as_text(tmp_path, column, texts):
    columns = {"image": ["a.png", "b.png"], "gender": column, "faces": [{"left": 1}, {"left": 2}]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    table, _ = read_table(tmp_path / "t.parquet", ("image", "gender"))
    assert table["gender"].tolist() == texts
    assert list(table) == ["image", "gender", "line"]  # nobody asks for what is nested elsewhere


def test_dates_that_pandas_cannot_hold_are_texts(tmp_path):
    column = pyarrow.array([2**62, 0], pyarrow.timestamp("us"))
    pyarrow.parquet.write_table(pyarrow.table({"image": ["a", "b"], "gender": column}), tmp_path / "t.parquet")
    table, _ = read_table(tmp_path / "t.parquet", ("image", "gender"))
    assert table["gender"].iloc[1].startswith("1970-01-01") and table["gender"].is_unique


def test_an_index_that_pandas_wrote_is_a_column_and_a_folder_is_none(tmp_path, refused):
    folder = tmp_path / "gender=m"
    folder.mkdir()
    table = pd.DataFrame({"race": ["x", "y"]}, index=pd.Index(["a.png", "b.png"], name="image"))
    table.to_parquet(folder / "t.parquet")
    assert read_table(folder / "t.parquet", ("image", "race"))[0]["image"].tolist() == ["a.png", "b.png"]
    with refused("missing column gender"):
        read_table(folder / "t.parquet", ("image", "gender"))


def test_a_column_that_a_parquet_file_has_twice_is_named(tmp_path, refused):
    table = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 3, names=["image", "gender", "gender"])
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    with refused("the column gender occurs twice"):
        read_table(tmp_path / "t.parquet", ("image", "gender"))
