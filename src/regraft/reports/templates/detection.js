"use strict";
// Two lists choose pictures and boxes by class and by kind of error; without this script all are shown.
const filters = document.querySelector(".filters");
if (filters) {
  const byClass = document.getElementById("class-filter");
  const byKind = document.getElementById("kind-filter");
  const cases = [...document.querySelectorAll(".cases > li")];
  const fits = (part) =>
    (!byClass.value || part.dataset.classes.split(" ").includes(byClass.value)) &&
    (!byKind.value || part.dataset.kind === byKind.value);
  const choose = () => {
    const isChosen = Boolean(byClass.value || byKind.value);
    const folded = document.getElementById("more-cases");
    if (folded && isChosen) folded.open = true;
    let count = 0;
    for (const one of cases) {
      const errors = [...one.querySelectorAll("[data-kind]")];
      const layers = [...one.querySelectorAll("[data-classes]:not([data-kind])")];
      for (const part of errors) part.toggleAttribute("hidden", !fits(part));
      for (const part of layers) part.toggleAttribute("hidden", Boolean(byClass.value) && part.dataset.classes !== byClass.value);
      const has = byKind.value ? errors.some(fits) : [...errors, ...layers].some(fits);
      one.hidden = isChosen && !has;
      count += one.hidden ? 0 : 1;
    }
    const all = cases.length;
    document.getElementById("how-many").textContent = count === all ? `${all} pictures` : `${count} of ${all} pictures`;
  };
  byClass.addEventListener("change", choose);
  byKind.addEventListener("change", choose);
  filters.hidden = false;
  choose(); // a browser may remember what was chosen
}
