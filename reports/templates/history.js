// What a reader can do with the page beyond reading: look for cases, and point at a revision.
// Without scripts everything else is there all the same.
"use strict";

const revisions = JSON.parse(document.getElementById("revisions").textContent);
const points = JSON.parse(document.getElementById("points").textContent);
const cases = [...document.querySelectorAll(".case")];

const tools = document.querySelector(".tools");
const [words, stepped] = tools.querySelectorAll("input");
const counted = tools.querySelector("output");
tools.hidden = false;

function choose() {
  const wanted = words.value.toLowerCase().split(/\s+/);
  let shown = 0;
  for (const one of cases) {
    const text = one.textContent.toLowerCase();
    one.hidden =
      (stepped.checked && !("steps" in one.dataset)) || !wanted.every((word) => text.includes(word));
    shown += !one.hidden;
  }
  counted.textContent = shown < cases.length ? `${shown} of ${cases.length}` : "";
}
words.addEventListener("input", choose);
stepped.addEventListener("change", choose);

// The point nearest to the pointer: a figure need not be of every revision.
function nearest(own, x) {
  let low = 0;
  let high = own.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (own[middle][1] < x) low = middle;
    else high = middle;
  }
  return Math.abs(own[low][1] - x) < Math.abs(own[high][1] - x) ? own[low] : own[high];
}

function follow(one, number) {
  const drawing = one.querySelector("svg");
  const said = one.querySelector("output");
  const mark = document.createElementNS(drawing.namespaceURI, "line");
  mark.classList.add("at");
  for (const [name, value] of [["y1", 0], ["y2", drawing.viewBox.baseVal.height]]) {
    mark.setAttribute(name, value);
  }
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * drawing.viewBox.baseVal.width;
    const [place, at, value] = nearest(points[number], x);
    const [name, when, subject] = revisions[place];
    said.textContent = `${value} at ${[name, when.slice(0, 10), subject].filter(Boolean).join(" ")}`;
    mark.setAttribute("x1", at);
    mark.setAttribute("x2", at);
    drawing.append(mark);
  });
  drawing.addEventListener("pointerleave", () => mark.remove());
}
cases.forEach(follow);
