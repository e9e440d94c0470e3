"use strict";
// A slider shows the parts of its figure that belong to its position, and takes those with the same positions
// along; without this script there is no slider.
const sliders = [...document.querySelectorAll("input[data-slider]")];
const moved = new Map();
for (const slider of sliders) {
  const figure = document.getElementById("figure-" + slider.dataset.slider);
  const words = JSON.parse(slider.dataset.frames);
  const said = figure.querySelector("output");
  const show = () => {
    for (const part of figure.querySelectorAll("[data-frame]")) {
      part.toggleAttribute("hidden", part.dataset.frame !== slider.value);
    }
    said.textContent = words[Number(slider.value)];
    slider.setAttribute("aria-valuetext", said.textContent);
  };
  moved.set(slider, show);
  slider.addEventListener("input", () => {
    for (const other of sliders) {
      if (other.max === slider.max) {
        other.value = slider.value;
        moved.get(other)();
      }
    }
  });
  slider.closest(".slider").hidden = false;
  show();
}
