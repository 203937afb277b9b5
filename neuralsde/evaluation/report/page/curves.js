// Panels of curves over epochs: values under the pointer, curves to switch off, logarithmic scale. All panels share the cursor.
function niceTicks(low, high, count) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) ticks.push(Math.abs(v) < step * 1e-9 ? 0 : v);
  return ticks;
}

function logTicks(low, high) {
  const ticks = [];
  const few = high / low > 1e3 ? [1] : [1, 2, 5];
  for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++) for (const m of few) ticks.push(m * 10 ** p);
  const inside = ticks.filter((v) => v >= low && v <= high);
  return inside.length > 1 ? inside.filter((_, i) => i % Math.ceil(inside.length / 6) === 0) : niceTicks(low, high, 3);
}

function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1).replace("e+", "e").replace("-", "−").replace("e-", "e−");
  return String(Number(value.toPrecision(4))).replace("-", "−");
}

// The index of the last point at or before x.
function before(xs, x) {
  let low = 0, high = xs.length - 1;
  if (!xs.length || xs[0] > x) return -1;
  while (low < high) { const middle = (low + high + 1) >> 1; if (xs[middle] <= x) low = middle; else high = middle - 1; }
  return low;
}

function curvePanel(spec, moveAll) {
  const count = spec.series.length, split = { train: "var(--c0)", val: "var(--c1)" };
  const curves = spec.series.map((s, i) => ({ ...s, on: true, color: split[s.name] || hue(i, count) }));
  const positive = curves.some((s) => s.y.length) && curves.every((s) => s.y.every((v) => v > 0));
  const ends = curves.filter((s) => s.y.length).map((s) => `${s.name} from ${short(s.y[0])} to ${short(s.y[s.y.length - 1])}`);
  const svg = make("svg", { role: "img", tabindex: "0", "aria-label": `${spec.title} over epochs: ${ends.slice(0, 8).join("; ")}.` });
  const chips = make("div", { class: "chips" }), epoch = make("span", { class: "epoch" });
  const scale = make("button", { type: "button", class: "tool", "aria-pressed": "false", title: "Logarithmic scale" }, "log");
  const head = make("h4", {}, make("span", {}, `${spec.title} `, make("small", {}, spec.unit)));
  const xs = [...new Set(curves.flatMap((s) => s.x))].sort((a, b) => a - b);
  let log = false, at = null, x = (v) => v, y = (v) => v, cursor;
  if (positive) head.append(scale);
  scale.addEventListener("click", () => { log = !log; scale.setAttribute("aria-pressed", log); draw(); });
  const values = curves.slice(0, 16).map((s) => {
    const value = make("span"), chip = make("button", { type: "button", class: "chip", "aria-pressed": "true", style: `--color:${s.color}` }, `${s.name} `, value);
    chip.addEventListener("click", () => { s.on = !s.on; chip.setAttribute("aria-pressed", s.on); draw(); });
    chips.append(chip);
    return [s, value];
  });
  if (count > values.length) chips.append(make("span", { class: "epoch" }, `and ${count - values.length} more`));
  chips.append(epoch);

  function draw() {
    const width = svg.clientWidth || 320, height = svg.clientHeight || 184, left = 46, right = 8, top = 10, bottom = 22;
    const shown = curves.filter((s) => s.on), all = shown.flatMap((s) => s.y).concat(spec.reference ?? []);
    let low = Math.min(...all), high = Math.max(...all);
    if (!all.length) [low, high] = [1, 10];
    if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1];
    const f = log ? Math.log : (v) => v, pad = 0.06 * (f(high) - f(low)), first = xs[0] ?? 0, last = xs[xs.length - 1] ?? 1;
    y = (v) => top + (height - top - bottom) * (1 - (f(v) - f(low) + pad) / (f(high) - f(low) + 2 * pad));
    x = (v) => left + (width - left - right) * (first === last ? 0.5 : (v - first) / (last - first));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren();
    for (const v of log ? logTicks(low, high) : niceTicks(low, high, 4)) {
      svg.append(make("line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }), make("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, short(v)));
    }
    const nice = first === last ? [] : niceTicks(first, last, Math.max(2, width / 90)).filter(Number.isInteger);
    const whole = [first, ...nice.filter((v) => x(v) - x(first) > 28)];
    for (const v of whole) svg.append(make("text", { x: x(v), y: height - 6, "text-anchor": x(v) > width - 24 ? "end" : "middle" }, v));
    if (spec.reference !== undefined) svg.append(make("line", { class: "reference", x1: left, x2: width - right, y1: y(spec.reference), y2: y(spec.reference) }));
    for (const s of shown) {
      svg.append(make("path", { d: s.x.map((v, i) => `${i ? "L" : "M"}${x(v).toFixed(1)} ${y(s.y[i]).toFixed(1)}`).join(""), style: `stroke:${s.color}` }));
      if (s.x.length <= 30 && count <= 8) s.x.forEach((v, i) => svg.append(make("circle", { cx: x(v), cy: y(s.y[i]), r: 2.2, style: `fill:${s.color}` })));
      if (s.best) svg.append(make("circle", { cx: x(s.best[0]), cy: y(s.best[1]), r: 5, style: "fill:none;stroke:var(--c2);stroke-width:1.75" }));
    }
    cursor = make("g");
    svg.append(cursor);
    move(at);
  }

  function move(value) {
    at = value;
    const where = value ?? xs[xs.length - 1];
    cursor.replaceChildren();
    if (value !== null) cursor.append(make("line", { class: "cursor", x1: x(value), x2: x(value), y1: 10, y2: (svg.clientHeight || 184) - 22 }));
    for (const [s, text] of values) {
      const i = before(s.x, where);
      text.textContent = i < 0 ? "" : short(s.y[i]);
      if (value !== null && i >= 0 && s.on) cursor.append(make("circle", { cx: x(s.x[i]), cy: y(s.y[i]), r: 3.5, style: `fill:${s.color}` }));
    }
    epoch.textContent = `epoch ${where ?? ""}`;
  }

  svg.addEventListener("pointermove", (event) => {
    const place = event.clientX - svg.getBoundingClientRect().left;
    if (xs.length) moveAll(xs.reduce((a, b) => (Math.abs(x(b) - place) < Math.abs(x(a) - place) ? b : a)));
  });
  svg.addEventListener("pointerleave", () => moveAll(null));
  svg.addEventListener("blur", () => moveAll(null));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !xs.length) return;
    event.preventDefault();
    const now = at === null ? xs.length - 1 : before(xs, at) + step;
    moveAll(xs[Math.max(0, Math.min(xs.length - 1, now))]);
  });
  return { node: make("div", { class: "panel" }, head, svg, chips), draw, move };
}

for (const box of document.querySelectorAll(".panels")) {
  const panels = [], moveAll = (value) => panels.forEach((p) => p.move(value));
  panels.push(...data(box.dataset.source).map((spec) => curvePanel(spec, moveAll)));
  box.append(...panels.map((p) => p.node));
  const drawAll = () => panels.forEach((p) => p.draw());
  redraws.push(drawAll);
  new ResizeObserver(drawAll).observe(box);
  drawAll();
}
