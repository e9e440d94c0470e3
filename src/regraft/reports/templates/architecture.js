"use strict";
const buttons = [...document.querySelectorAll("[data-shows]")];
function choose(button) {
  buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
  document.querySelectorAll("[data-panel]").forEach((panel) => { panel.hidden = panel.id !== button.dataset.shows; });
}
buttons.forEach((button, place) => {
  button.addEventListener("click", () => choose(button));
  button.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(button);
    } else if (step && buttons[place + step]) {
      event.preventDefault();
      buttons[place + step].focus();
      choose(buttons[place + step]);
    }
  });
});
