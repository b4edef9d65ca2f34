// Gives away what the page carries. Everything else works without this.
"use strict";
const carried = (id) => JSON.parse(document.getElementById(id).textContent);

const give = (name, type, text) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};

// As RFC 4180 has it; what a spreadsheet would take for a formula is made a word.
const field = (value) => {
  if (value === null) return "";
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const csv = ({ head, rows }) =>
  [head, ...rows].map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";

document.addEventListener("click", ({ target }) => {
  const { csv: table, json } = target.dataset ?? {};
  if (table) give(`${table}.csv`, "text/csv", csv(carried("tables")[table]));
  if (json) give(`${json}.json`, "application/json", JSON.stringify(carried(json), null, 2));
});

addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("#machine details, #comparison details")) part.open = true;
});
