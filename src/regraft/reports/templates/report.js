"use strict";
// A number of the confusion matrix shows its images; choosing it again hides them.
document.querySelectorAll("[data-shows]").forEach((button) => {
  button.addEventListener("click", () => {
    const wasPressed = button.getAttribute("aria-pressed") === "true";
    document.querySelectorAll("[data-shows]").forEach((other) => other.setAttribute("aria-pressed", "false"));
    document.querySelectorAll("[data-cell]").forEach((cell) => { cell.hidden = true; });
    if (wasPressed) return;
    button.setAttribute("aria-pressed", "true");
    const cell = document.getElementById(button.dataset.shows);
    cell.hidden = false;
    cell.scrollIntoView({ block: "nearest" });
  });
});
