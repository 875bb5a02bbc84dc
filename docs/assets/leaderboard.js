// Sorts and filters the leaderboards. Without it they are plain tables.
"use strict";

function text(cell) {
  return cell.dataset.value ?? cell.textContent.trim();
}

// Numbers descend first, for the best is what people look for; an empty cell is last either way.
function sortBy(table, column) {
  const heading = table.tHead.rows[0].cells[column];
  const isNumber = heading.classList.contains("number");
  const before = heading.getAttribute("aria-sort");
  const ascending = before ? before === "descending" : !isNumber;
  const rows = [...table.tBodies[0].rows].sort((a, b) => {
    const [x, y] = [text(a.cells[column]), text(b.cells[column])];
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = isNumber ? x - y : x.localeCompare(y);
    return ascending ? order : -order;
  });
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  table.tBodies[0].append(...rows);
}

function addSorting(table) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortBy(table, column));
    heading.append(button);
  });
}

function filter(form, table) {
  const chosen = new FormData(form);
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    row.hidden = ["backbone", "profile", "madeBy"].some((name) => chosen.get(name) && row.dataset[name] !== chosen.get(name));
    shown += !row.hidden;
  }
  for (const cell of table.querySelectorAll("[data-bits]")) {
    cell.hidden = Boolean(chosen.get("bits")) && cell.dataset.bits !== chosen.get("bits");
  }
  form.querySelector("output").textContent = `${shown} of ${table.tBodies[0].rows.length} rows`;
}

for (const form of document.querySelectorAll(".leaderboard-filters")) {
  const table = document.querySelector("table.leaderboard");
  for (const name of ["backbone", "profile", "madeBy"]) {
    const values = new Set([...table.tBodies[0].rows].map((row) => row.dataset[name]));
    form.elements[name].append(...[...values].sort().map((value) => new Option(value, value)));
    form.elements[name].closest("label").hidden = values.size < 2;
  }
  addSorting(table);
  form.addEventListener("change", () => filter(form, table));
  form.hidden = false;
  filter(form, table);
}
