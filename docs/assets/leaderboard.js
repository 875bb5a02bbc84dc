"use strict";
// Filters of a leaderboard. Without a script the table is whole, and the form stays hidden.
(() => {
  const form = document.querySelector("form.board-filter");
  if (!form) return;
  const table = document.querySelector(".board table");
  const rows = [...table.querySelectorAll("tbody tr:not(.section)")];

  const isWanted = (row, { backbone, made, group }) =>
    (!backbone || row.dataset.backbone === backbone) &&
    (!made || row.dataset.made === made) &&
    (!group || [...row.querySelectorAll("td[data-bits]:not([hidden])")].some((cell) => cell.dataset.group === group));

  const apply = () => {
    const wanted = Object.fromEntries(new FormData(form));
    for (const cell of table.querySelectorAll("[data-bits]")) {
      cell.hidden = Boolean(wanted.bits) && cell.dataset.bits !== wanted.bits;
    }
    for (const row of rows) row.hidden = !isWanted(row, wanted);
    for (const body of table.tBodies) body.hidden = !body.querySelector("tr:not(.section):not([hidden])");
    form.querySelector("output").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
  };

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
})();
