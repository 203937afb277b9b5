"""The pictures in a run's folder, with titles and captions, and how they get into a page."""

import base64
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from PIL import Image

from neuralsde.errors import CheckpointError
from neuralsde.evaluation.glossary import picture_text
from neuralsde.files import write_picture, write_whole
from neuralsde.training.files import read_json
from neuralsde.training.shape import Names

CAPTIONS = "captions.json"
LARGE_BYTES = 150_000
"""Pictures above are reduced to 256 colours, which lines on white hardly need."""


class Picture(NamedTuple):
    """A figure to show.

    Args:
        title: above it.
        figure: as matplotlib drew it.
        caption: below it; empty for none.
    """

    title: str
    figure: Figure
    caption: str = ""


class Shown(NamedTuple):
    """A picture as a page holds it.

    Args:
        name: of its file, without the suffix.
        title: above it.
        caption: below it.
        width: in pixels.
        height: in pixels.
        source: `data:` URL.
    """

    name: str
    title: str
    caption: str
    width: int
    height: int
    source: str


def add_pictures(folder: Path, pictures: Sequence[Picture]) -> None:
    """Write pictures, with their titles and captions, to the `plots` of a run, where `write_report` finds them.

    Args:
        folder: the run's folder.
        pictures: what to add; one of the same title replaces an earlier one.
    """
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    texts = read_captions(plots)
    for picture in pictures:
        name = "".join(letter if letter.isalnum() else "_" for letter in picture.title.lower()).strip("_") or "picture"
        write_picture(plots / f"{name}.png", picture.figure)
        texts[name] = [picture.title, picture.caption]
    write_whole(plots / CAPTIONS, json.dumps(texts, indent=2, ensure_ascii=False) + "\n")


def read_captions(plots: Path) -> dict[str, list[str]]:
    """Titles and captions by the name of a picture, those that were written beside the pictures."""
    return read_json(plots / CAPTIONS, Names([str, str]))


def read_pictures(folder: Path) -> list[Shown]:
    """Every picture in the `plots` of a run: those with a caption of their own last."""
    plots = folder / "plots"
    own = read_captions(plots)
    paths = sorted(plots.glob("*.png"), key=lambda path: (path.stem in own, path.stem))
    return [shown(path, *own.get(path.stem, picture_text(path.stem))) for path in paths]


def shown(path: Path, title: str, caption: str) -> Shown:
    """A PNG file as a page holds it.

    Raises:
        CheckpointError: it is damaged.
    """
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
            if len(content) > LARGE_BYTES:
                content = min(content, with_few_colours(image), key=len)
    except OSError as error:
        raise CheckpointError(f"{path} is damaged or no picture: move it away to go on without it.") from error
    source = "data:image/png;base64," + base64.b64encode(content).decode()
    return Shown(path.stem, title, caption, width, height, source)


def with_few_colours(image: Image.Image) -> bytes:
    """The picture in 256 colours of its own choice, as PNG."""
    buffer = io.BytesIO()
    image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()
