"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const headings = Array.from(table.tHead.rows[0].cells);
  headings.forEach((heading, column) => {
    if (heading.classList.contains("fixed")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = heading.textContent;
    heading.textContent = "";
    heading.append(button);
    button.addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const number = heading.classList.contains("number");
      rows.sort((one, two) => {
        const a = value(one), b = value(two);
        const order = number ? (parseFloat(a) || 0) - (parseFloat(b) || 0) : a.localeCompare(b);
        return ascending ? order : -order;
      });
      body.append(...rows);
    });
  });
  const control = table.parentElement.previousElementSibling;
  if (control === null || !control.classList.contains("control")) continue;
  control.hidden = false;
  const input = control.querySelector("input");
  input.addEventListener("input", () => {
    const wanted = input.value.toLocaleLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLocaleLowerCase().includes(wanted);
  });
}
