"use strict";
const buttons = [...document.querySelectorAll("[data-shows]")];
function choose(button) {
  buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
  document.querySelectorAll("[data-panel]").forEach((panel) => { panel.hidden = panel.id !== button.dataset.shows; });
}
buttons.forEach((button, place) => {
  button.addEventListener("click", () => choose(button));
  button.addEventListener("keydown", (event) => {
    const goal = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(button);
    } else if (goal in buttons) {
      event.preventDefault();
      buttons[goal].focus();
      choose(buttons[goal]);
    }
  });
});
