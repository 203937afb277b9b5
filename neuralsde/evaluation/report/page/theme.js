"use strict";
// The theme's button, and what the pictures below share. The system's theme holds until the button is pressed.
const root = document.documentElement;
const mediaDark = matchMedia("(prefers-color-scheme: dark)");
const redraws = [];
const data = (id) => JSON.parse(document.getElementById(id).textContent);
const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const redraw = () => redraws.forEach((draw) => draw());

function make(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "text", "circle"].includes(name);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

// One colour per curve: the theme's own while they last, then a scale of hues that are told apart by lightness too.
function hue(i, n) {
  if (n <= 7) return `var(--c${i + 1})`;
  const share = i / (n - 1);
  return `hsl(${(265 - 225 * share).toFixed(0)} 62% calc(${(42 + 14 * share).toFixed(0)}% + var(--lift)))`;
}

const isDark = () => (root.dataset.theme || (mediaDark.matches ? "dark" : "light")) === "dark";
const button = document.getElementById("theme");
const label = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
button.hidden = false;
button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); redraw(); });
mediaDark.addEventListener("change", () => { label(); redraw(); });
matchMedia("print").addEventListener("change", redraw);
label();
