"""Mutations of text that know words, lines, numbers and brackets."""

import re

from numpy.random import Generator

from tests.fuzz.raw import chosen

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
NUMBERS = [
    b"nan", b"inf", b"-inf", b"NaN", b"Infinity", b"-1", b"0", b"1e999", b"1e308", b"-1e308", b"1e-320", b"9" * 20, b"9" * 5000,
    b"0x10", b"1_0", b"", b"?", b"1000000000000", b"2147483648", b"9223372036854775808", b"1.5", b"true", b"null",
    b"'a'", b'"a"',
    b"[]", b"{}", "½".encode(), "١".encode(), b"2012-01-01", b"12:30:45", b"1e5",
]  # fmt: skip
"""What may stand where a number did."""
PIECES = [
    b"\0", b"\r", b"\n\n", b"\r\n", b'"', b"'", b",", b":", b"\t", b"#", b"%", b"@", b"{", b"}", b"[", b"]", b"\xff\xfe",
    b"\xef\xbb\xbf", b"\\u0000", b"\xed\xa0\x80", b"${oc.env:HOME}", b"!!python/object/apply:os.system [id]",
    b"&a [*a]", b"???",
    b"<<: *a", b"_target_: os.system", b"-", b"=", b"1e9999", "é".encode("latin-1"), b"\x1a", b"\x85", b"\xe2\x80\xa8",
]  # fmt: skip
"""What may be put in anywhere."""


def another_number(content: bytes, rng: Generator) -> bytes:
    """Up to four numbers replaced by impossible ones."""
    for _ in range(rng.integers(1, 5)):
        found = list(NUMBER.finditer(content[:200_000]))
        if found:
            at = found[rng.integers(len(found))]
            content = content[: at.start()] + NUMBERS[rng.integers(len(NUMBERS))] + content[at.end() :]
    return content


def put_in(content: bytes, rng: Generator) -> bytes:
    """A special piece somewhere."""
    at = rng.integers(len(content) + 1)
    return content[:at] + PIECES[rng.integers(len(PIECES))] + content[at:]


def lines(content: bytes, rng: Generator) -> bytes:
    """Lines exchanged, left out, repeated, or one cut."""
    rows = content.split(b"\n")
    a, b = rng.integers(len(rows), size=2)
    what = rng.integers(4)
    if what == 0:
        rows[a], rows[b] = rows[b], rows[a]
    elif what == 1:
        del rows[a]
    elif what == 2:
        rows[a:a] = [rows[b]] * int(rng.integers(1, 50))
    else:
        rows[a] = rows[a][: rng.integers(len(rows[a]) + 1)]
    return b"\n".join(rows)


def fields(content: bytes, rng: Generator) -> bytes:
    """A field of a line left out, repeated, emptied or moved."""
    rows = content.split(b"\n")
    a = rng.integers(len(rows))
    mark = (b",", b":", b"\t", b" ")[rng.integers(4)]
    parts = rows[a].split(mark)
    at = rng.integers(len(parts))
    what = rng.integers(4)
    if what == 0:
        del parts[at]
    elif what == 1:
        parts[at:at] = [parts[at]] * int(rng.integers(1, 30))
    elif what == 2:
        parts[at] = b""
    else:
        parts.insert(int(rng.integers(len(parts))), parts.pop(at))
    rows[a] = mark.join(parts)
    return b"\n".join(rows)


def nested(content: bytes, rng: Generator) -> bytes:
    """Brackets many levels deep somewhere."""
    at, depth = rng.integers(len(content) + 1), int(rng.choice([10, 100, 3000, 100_000]))
    opened, closed = ((b"[", b"]"), (b"{a: ", b"}"), (b'{"a":', b"}"), (b"(", b")"))[rng.integers(4)]
    return content[:at] + opened * depth + closed * (depth if rng.random() < 0.5 else 0) + content[at:]


def long(content: bytes, rng: Generator) -> bytes:
    """One very long word or line."""
    at = rng.integers(len(content) + 1)
    return (
        content[:at]
        + (b"a", b"9", b",", b" ", b"\n")[rng.integers(5)] * int(rng.choice([1000, 100_000, 2_000_000]))
        + content[at:]
    )


def other_encoding(content: bytes, rng: Generator) -> bytes:
    """The text in another encoding."""
    return content.decode("utf-8", "replace").encode(("utf-16", "utf-32", "latin-1", "utf-8-sig")[rng.integers(4)], "replace")


def several(content: bytes, rng: Generator) -> bytes:
    """Some of the others, one after the other."""
    for _ in range(rng.integers(2, 5)):
        content = chosen(SINGLE, rng)(content, rng) or b" "
    return content


SINGLE = (another_number, put_in, lines, fields)
MUTATIONS = (*SINGLE, another_number, another_number, nested, long, other_encoding, several)
