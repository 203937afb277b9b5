"""The page in a browser: its scripts draw, and nothing complains. Skips where Chromium is not installed."""

import json
import re
import shutil
import subprocess

import pytest

from neuralsde.evaluation.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=2000 --dump-dom"
)
PROBE = """<script>
const ink = (canvas) => { // pixels that are drawn
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let n = 0;
  for (let i = 3; i < pixels.length; i += 4) n += pixels[i] > 0;
  return n;
};
const canvas = document.querySelector("canvas"), first = document.querySelector("#curves .panel");
const before = canvas ? [ink(canvas), canvas.toDataURL()] : [0, ""];
if (canvas) canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
const svg = first && first.querySelector("svg"), left = svg && svg.getBoundingClientRect().left;
if (first) svg.dispatchEvent(new PointerEvent("pointermove", { clientX: left + svg.clientWidth / 2 }));
const read = [...document.querySelectorAll("#curves .panel .chips")].map((chips) => chips.innerText.split(/\\s+/).join(" "));
if (first) first.querySelector(".tool").click();
const ticks = first ? first.querySelector("svg").textContent : "";
if (first) first.querySelector(".chip").click();
document.getElementById("theme").click();
const result = {
  panels: document.querySelectorAll(".panel svg").length,
  lines: [...document.querySelectorAll("#learned .panel path")].length,
  broken: [...document.images].filter((image) => !image.complete || !image.naturalWidth).length,
  images: document.images.length,
  ink: before[0],
  turned: canvas ? canvas.toDataURL() !== before[1] : null,
  ticks,
  read,
  hidden: first ? first.querySelectorAll("svg path").length : null,
  theme: document.documentElement.dataset.theme,
  wide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
};
document.body.append(Object.assign(document.createElement("pre"), { id: "probe", textContent: JSON.stringify(result) }));
</script></body>"""


def opened(path, tmp_path, width):
    """What the probe finds on the page, and what the browser's console says."""
    page = tmp_path / "probed.html"
    page.write_text(path.read_text().replace("</body>", PROBE))
    command = [CHROMIUM, *FLAGS.split(), f"--window-size={width},900", f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(found[1]), [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [1200, 500])
def test_scripts_draw_and_nothing_complains(run_folder, tmp_path, width):
    found, console = opened(write_report(run_folder()), tmp_path, width)
    assert console == []
    assert found["panels"] == 4
    assert found["lines"] == 2
    assert (found["images"], found["broken"]) == (1, 0)
    assert found["ink"] > 5000
    assert found["turned"]
    assert found["read"] == ["train 0.7 epoch 2", "val 0.125 epoch 2", "train 0.6 val 0.75 epoch 2"]  # under the pointer
    assert "0.6" in found["ticks"]
    assert found["hidden"] == 0
    assert found["theme"] == "dark"
    assert not found["wide"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_run_without_anything_to_draw_opens_too(run_folder, tmp_path):
    folder = run_folder(scores=None, metrics=None, record=None, pictures=False)
    found, console = opened(write_report(folder), tmp_path, 1200)
    assert console == []
    assert found["panels"] == 0
