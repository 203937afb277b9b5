// Latent paths in three dimensions on a canvas: drag or arrow keys turn them, a slider draws them up to a time.
function space(box) {
  const { axes, times, conditions } = data(box.dataset.source), canvas = box.querySelector("canvas"), pen = canvas.getContext("2d");
  const groups = conditions.map((c, i) => ({ ...c, on: true, color: c.mean ? hue(i, conditions.length) : "var(--c1)" }));
  // A canvas knows no CSS variables.
  const lifted = (c) => c.replace(/calc\((\d+)% \+ var\(--lift\)\)/, (_, l) => `${Number(l) + parseFloat(colour("--lift"))}%`);
  const tinted = (c) => (c.startsWith("var") ? colour(c.slice(4, -1)) : lifted(c));
  let yaw = 0.7, pitch = 0.35, until = times.length - 1, single = true, spinning = null;

  function draw() {
    const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.lineJoin = pen.lineCap = "round";
    const size = 0.43 * Math.min(width * 1.1, height), [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const project = ([a, b, c]) => {
      const u = cy * a + sy * b, v = -sy * a + cy * b, depth = cp * v + sp * c, near = 1 / (1 + 0.22 * depth);
      return [width / 2 + size * near * u, height / 2 - size * near * (cp * c - sp * v), near];
    };
    const line = (points, style, thick, alpha) => {
      pen.beginPath();
      points.forEach((p, i) => { const [px, py] = project(p); if (i) pen.lineTo(px, py); else pen.moveTo(px, py); });
      Object.assign(pen, { strokeStyle: style, lineWidth: thick, globalAlpha: alpha });
      pen.stroke();
    };
    frame(project, line);
    const shown = groups.filter((g) => g.on), soFar = (path) => path.slice(0, until + 1);
    if (single) for (const g of shown) for (const path of g.trials) line(soFar(path), tinted(g.color), 0.8, g.mean ? 0.3 : 0.7);
    for (const g of shown) {
      if (g.mean) line(soFar(g.mean), tinted(g.color), 2.4, 0.95);
      for (const path of g.mean ? [g.mean] : single ? g.trials : []) {
        const [px, py, near] = project(path[until < times.length - 1 ? until : 0]);
        pen.globalAlpha = 1;
        pen.fillStyle = tinted(g.color);
        pen.beginPath();
        pen.arc(px, py, (g.mean ? 4 : 2.5) * near, 0, 7);
        pen.fill();
      }
    }
    pen.globalAlpha = 1;
  }

  // The box's floor and the names of the axes.
  function frame(project, line) {
    const grid = colour("--grid"), corner = -0.95;
    for (let i = 0; i <= 4; i++) {
      const k = corner + (i * -2 * corner) / 4;
      line([[k, corner, corner], [k, -corner, corner]], grid, 1, 1);
      line([[corner, k, corner], [-corner, k, corner]], grid, 1, 1);
    }
    line([[corner, corner, corner], [corner, corner, -corner]], grid, 1, 1);
    pen.globalAlpha = 1;
    pen.fillStyle = colour("--soft");
    pen.font = "12px system-ui, sans-serif";
    pen.textAlign = "center";
    const places = [[0, corner * 1.15, corner], [corner * 1.15, 0, corner], [corner, corner, -corner * 1.1]];
    axes.forEach((name, i) => { if (name) { const [px, py] = project(places[i]); pen.fillText(name, Math.max(34, Math.min(canvas.clientWidth - 34, px)), Math.min(canvas.clientHeight - 8, py)); } });
  }

  const turn = (a, b) => { yaw += a; pitch = Math.max(-1.5, Math.min(1.5, pitch + b)); draw(); };
  let held = null;
  canvas.addEventListener("pointerdown", (event) => { held = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    turn((event.clientX - held[0]) * 0.008, (event.clientY - held[1]) * 0.008);
    held = [event.clientX, event.clientY];
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => { held = null; });
  canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
    if (way) { event.preventDefault(); turn(...way); }
  });

  const clock = make("output"), slider = make("input", { type: "range", min: 0, max: times.length - 1, value: until, "aria-label": "Time in the trial" });
  const tell = () => { clock.textContent = `${times[until].toPrecision(3)} s`; };
  slider.addEventListener("input", () => { until = Number(slider.value); tell(); draw(); });
  const tool = (name, on, press) => {
    const button = make("button", { type: "button", class: "tool", "aria-pressed": on }, name);
    button.addEventListener("click", () => { on = !on; button.setAttribute("aria-pressed", on); press(on); });
    return button;
  };
  const spin = () => { turn(0.006, 0); spinning = requestAnimationFrame(spin); };
  const tools = [tool("turn", false, (on) => { if (on) spin(); else cancelAnimationFrame(spinning); })];
  if (groups[0] && groups[0].mean) tools.push(tool("single trials", true, (on) => { single = on; draw(); }));
  const chips = make("div", { class: "chips" });
  for (const g of groups.filter((group) => group.name)) {
    const chip = make("button", { type: "button", class: "chip", "aria-pressed": "true", style: `--color:${g.color}` }, g.name);
    chip.addEventListener("click", () => { g.on = !g.on; chip.setAttribute("aria-pressed", g.on); draw(); });
    chips.append(chip);
  }
  box.querySelector(".controls").append(make("div", { class: "time" }, make("span", {}, "time"), slider, clock, ...tools), chips);
  tell();
  redraws.push(draw);
  new ResizeObserver(draw).observe(canvas);
  draw();
}

for (const box of document.querySelectorAll(".space")) space(box);
