// What the page shows of a detector: boxes over the pictures, and how many there are from a probability on.
import { $, download, named, start } from "/app.js";

const LEAST = 0.01;
const TEXT_PX = 12;
const SVG = "http://www.w3.org/2000/svg";
const pictures = [];
const pen = document.createElement("canvas").getContext("2d");
let model = { labels: [], thresholds: [], colours: [] };
let places = new Map();

function introduce(facts) {
  model = facts;
  places = new Map(model.labels.map((label, place) => [label, place]));
  const scored = model.score ? `Its ${model.score} on ${model.judged_on}.` : "How good it is is not known, because it was saved without its scores.";
  const classes = model.labels.length === 1 ? "one class" : `${model.labels.length} classes`;
  $("about").textContent = `This model finds objects of ${classes} and draws a box around each: ${named(model.labels)}. ${scored}`;
  $("least").value = Math.round((100 * summed(model.thresholds)) / model.thresholds.length);
  const body = $("legend").tBodies[0];
  body.replaceChildren();
  model.labels.forEach((label, place) => {
    const row = body.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.append(swatch(place), label);
    row.append(head);
    for (let cell = 0; cell < 3; cell += 1) row.insertCell();
  });
  redraw();
}

/* The probability from which on boxes of a class are shown. */
const least = (place) => ($("own").checked ? model.thresholds[place] : Number($("least").value) / 100);
const shownOf = (picture) => picture.boxes.filter((box) => box.score >= least(places.get(box.label)));
const percent = (share) => `${(100 * share).toFixed(0)} %`;
const plural = (count, one, several) => `${count} ${count === 1 ? one : several}`;
const summed = (counts) => counts.reduce((sum, count) => sum + count, 0);

function countsOf(boxes) {
  const counts = model.labels.map(() => 0);
  for (const box of boxes) counts[places.get(box.label)] += 1;
  return counts;
}

function drawn(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/* A line in the colour of a class on a black one, so that it is seen on any ground. */
function lines(tag, place, attributes) {
  const { colour, dashes } = model.colours[place];
  const line = { ...attributes, fill: "none", "vector-effect": "non-scaling-stroke" };
  const broken = dashes ? { "stroke-dasharray": dashes.map((one) => 3 * one).join(" ") } : {};
  return [drawn(tag, { ...line, stroke: "#000", "stroke-width": 5 }), drawn(tag, { ...line, ...broken, stroke: colour, "stroke-width": 3 })];
}

function swatch(place) {
  const picture = drawn("svg", { viewBox: "0 0 24 14", class: "swatch", "aria-hidden": "true" });
  picture.append(...lines("rect", place, { x: 2, y: 2, width: 20, height: 10 }));
  return picture;
}

function show(card, name, said) {
  const picture = { ...said, card, name };
  pictures.push(picture);
  const scene = card.querySelector(".scene");
  scene.style.aspectRatio = `${said.width} / ${said.height}`;
  scene.style.maxWidth = `calc(85vh * ${said.width / said.height})`;
  const image = card.querySelector(".image");
  const unseen = () => {
    image.hidden = true;
    card.querySelector(".problem").textContent = "The browser can't show a picture of this format; the boxes are where they would be in it.";
    card.querySelector(".problem").hidden = false;
  };
  if (image.complete && !image.naturalWidth) unseen();
  else image.addEventListener("error", unseen);
  const overlay = card.querySelector(".overlay");
  overlay.setAttribute("viewBox", `0 0 ${said.width} ${said.height}`);
  overlay.removeAttribute("hidden"); // elements of SVG have no property of this name
  redraw([picture]);
}

function redraw(some = pictures) {
  for (const picture of some) if (picture.boxes) draw(picture);
  const usable = pictures.filter((picture) => picture.boxes);
  const tables = usable.map((picture) => countsOf(shownOf(picture)));
  model.labels.forEach((_label, place) => {
    const cells = $("legend").tBodies[0].rows[place].cells;
    cells[1].textContent = summed(tables.map((counts) => counts[place]));
    cells[2].textContent = tables.filter((counts) => counts[place]).length;
    cells[3].textContent = percent(least(place));
  });
  const from = $("own").checked ? "own thresholds" : percent(Number($("least").value) / 100);
  $("shown").textContent = `${from}: ${plural(summed(tables.flat()), "box", "boxes")} in ${plural(usable.length, "picture", "pictures")}`;
  $("least").setAttribute("aria-valuetext", from);
}

function draw(picture) {
  const { card, name } = picture;
  const shown = shownOf(picture);
  const counts = countsOf(shown);
  const words = model.labels.map((label, place) => `${counts[place]} ${label}`).filter((_words, place) => counts[place]).join(", ") || "no box from this probability on";
  card.querySelector(".sum").textContent = words;
  const overlay = card.querySelector(".overlay");
  overlay.setAttribute("aria-label", `boxes in ${name}: ${words}`);
  const scale = picture.width / (overlay.clientWidth || 400);
  const upwards = [...shown].reverse(); // the most probable ones are on top
  const frames = upwards.flatMap((box) => lines("rect", places.get(box.label), { x: box.x_min, y: box.y_min, width: box.x_max - box.x_min, height: box.y_max - box.y_min }));
  overlay.replaceChildren(...frames, ...($("tags").checked ? upwards.flatMap((box) => tag(box, picture, scale)) : []));
  const details = card.querySelector("details");
  details.hidden = !shown.length;
  details.querySelector(".scroll").setAttribute("aria-label", `list of boxes in ${name}`);
  const body = details.querySelector("tbody");
  body.replaceChildren();
  for (const box of details.open ? shown : []) {
    const row = body.insertRow();
    for (const value of [box.label, percent(box.score), ...[box.x_min, box.y_min, box.x_max, box.y_max].map((edge) => edge.toFixed(0))]) row.insertCell().textContent = value;
  }
}

/* Label and probability above a box, or inside where there is no room, and always within the picture. */
function tag(box, { width, height }, scale) {
  const text = `${box.label} ${percent(box.score)}`;
  pen.font = `${TEXT_PX}px system-ui, sans-serif`;
  const across = (pen.measureText(text).width + 6) * scale;
  const down = (TEXT_PX + 4) * scale;
  const x = Math.max(0, Math.min(box.x_min, width - across));
  const y = Math.max(0, Math.min(box.y_min >= down ? box.y_min - down : box.y_min, height - down));
  const { colour } = model.colours[places.get(box.label)];
  const words = drawn("text", { x: x + 3 * scale, y: y + (TEXT_PX + 0.5) * scale, "font-size": TEXT_PX * scale, fill: "#000" });
  words.textContent = text;
  return [drawn("rect", { x, y, width: across, height: down, fill: colour, stroke: "#000", "stroke-width": 1, "vector-effect": "non-scaling-stroke" }), words];
}

let isAsked = false;
function redrawSoon() {
  if (!isAsked) requestAnimationFrame(() => { isAsked = false; redraw(); });
  isAsked = true;
}
window.addEventListener("resize", redrawSoon);
$("results").addEventListener("toggle", (event) => redraw(pictures.filter((picture) => picture.card?.contains(event.target))), true);
$("least").addEventListener("input", () => { $("own").checked = false; redrawSoon(); });
for (const id of ["own", "tags"]) $(id).addEventListener("change", redrawSoon);
$("counts").addEventListener("click", () => {
  const rows = pictures.map((picture) => {
    const counts = picture.boxes ? countsOf(shownOf(picture)) : model.labels.map(() => "");
    return [picture.name, picture.boxes ? summed(counts) : "", ...counts, picture.error || ""];
  });
  const sums = countsOf(pictures.flatMap((picture) => (picture.boxes ? shownOf(picture) : [])));
  const total = ["total", summed(sums), ...sums, ""];
  download("counts.csv", ["path", "boxes", ...model.labels, "error"], [...rows, total]);
});
$("csv").addEventListener("click", () => {
  const rows = pictures.flatMap((picture) => {
    const shown = picture.boxes ? shownOf(picture) : [];
    if (!shown.length) return picture.boxes ? [[picture.name, "", "", "", "", "", ""]] : [];
    return shown.map((box) => [picture.name, box.label, Number(box.score.toPrecision(6)), box.x_min, box.y_min, box.x_max, box.y_max]);
  });
  download("boxes.csv", ["path", "label", "score", "x_min", "y_min", "x_max", "y_max"], rows);
});
start({
  introduce,
  address: () => `/predict?threshold=${LEAST}`,
  show,
  fail: (name, error) => { pictures.push({ name, error }); redraw([]); },
  clear: () => { pictures.length = 0; redraw(); },
});
