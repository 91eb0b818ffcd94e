// What a reader can do with the page beyond reading: sort and filter tables, ask charts.
// Without scripts everything is there all the same.
"use strict";

// A figure's text as a number; texts that are none come last.
function value(cell) {
  const text = (cell.querySelector("strong") || cell).firstChild?.textContent ?? "";
  const found = text.replace(/[\s,]/g, "").replace("−", "-").match(/^[+]?(-?\d+(\.\d+)?)/);
  return found ? Number(found[1]) : null;
}

function compare(one, other, words) {
  if (words) return one.textContent.localeCompare(other.textContent, "en", { numeric: true });
  const [a, b] = [value(one), value(other)];
  if (a === null || b === null) return (a === null) - (b === null);
  return a - b;
}

function sortable(table) {
  const heads = [...table.tHead.rows].at(-1).cells;
  [...heads].forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.title = "Sort by this column";
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      [...heads].forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => !row.classList.contains("heading"));
        rows.sort((a, b) => {
          const [one, other] = [a.cells[index], b.cells[index]];
          const words = !head.classList.contains("n");
          // What is no figure stays last, whichever way the others go.
          if (!words && (value(one) === null) !== (value(other) === null)) {
            return compare(one, other, false);
          }
          return (down ? -1 : 1) * compare(one, other, words);
        });
        body.append(...rows);
      }
    });
  });
}

function filters(table) {
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
  const data = rows.filter((row) => !row.classList.contains("heading"));
  const bar = document.createElement("p");
  bar.className = "filters";
  const said = document.createElement("output");
  const chosen = new Map();
  const words = document.createElement("input");
  words.type = "search";
  words.placeholder = "rows that hold …";
  words.setAttribute("aria-label", "Show only rows that hold this text");
  function apply() {
    const text = words.value.trim().toLowerCase();
    let shown = 0;
    for (const body of table.tBodies) {
      const heading = body.querySelector(".heading");
      let any = false;
      for (const row of body.rows) {
        if (row === heading) continue;
        const all = `${heading?.textContent ?? ""} ${row.textContent}`.toLowerCase();
        row.hidden = !all.includes(text) ||
          [...chosen].some(([i, wanted]) => wanted && label(row.cells[i]) !== wanted);
        any ||= !row.hidden;
        shown += !row.hidden;
      }
      if (heading) heading.hidden = !any;
    }
    said.textContent = shown === data.length ? "" : `${shown} of ${data.length} rows`;
  }
  words.addEventListener("input", apply);
  bar.append(words);
  [...table.tHead.rows].at(-1).querySelectorAll("[data-choice]").forEach((head) => {
    const index = head.cellIndex;
    const values = [...new Set(data.map((row) => label(row.cells[index])))].sort();
    if (values.length < 2) return;
    const select = document.createElement("select");
    const name = head.textContent.trim();
    select.setAttribute("aria-label", name);
    select.append(new Option(`${name}: all`, ""), ...values.map((one) => new Option(one, one)));
    select.addEventListener("change", () => {
      chosen.set(index, select.value);
      apply();
    });
    bar.append(select);
  });
  bar.append(said);
  table.closest(".scroll").before(bar);
}

function label(cell) {
  return cell.firstChild?.textContent.trim() ?? "";
}

for (const table of document.querySelectorAll("table")) {
  const rows = table.querySelectorAll("tbody tr:not(.heading)").length;
  if (rows > 2) sortable(table);
  if (rows > 12 && !table.closest("details")) filters(table);
}

// On paper everything is open.
addEventListener("beforeprint", () => {
  document.querySelectorAll("details:not(.more)").forEach((one) => { one.open = true; });
});
