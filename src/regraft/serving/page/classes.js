// What the page shows of a model that says something about whole images: classes, labels or a number.
import { $, download, named, start } from "/app.js";

const answers = [];
const thresholds = {};

function introduce(model) {
  const what = { classification: "accuracy", multilabel: "average precision", regression: "error" }[model.task];
  const scored = model.score ? `Its ${model.score} on ${model.judged_on}.` : `Its ${what} is not known, because it was saved without its scores.`;
  const about = {
    classification: [`This model knows ${model.labels.length} classes: ${named(model.labels)}.`, "Pictures of anything else get one of these labels, too."],
    multilabel: [`This model knows ${model.labels.length} labels: ${named(model.labels)}. An image can have several or none.`, "It answers for pictures of anything else, too."],
    regression: ["This model predicts a number for an image.", "It answers for pictures of anything else, too."],
  }[model.task];
  const decided = [];
  if (model.threshold !== undefined) decided.push(`An image is called ${model.positive} from a probability of ${(100 * model.threshold).toFixed(1)} % on (${model.goal}).`);
  if (model.reject_below !== undefined) decided.push(`An image gets no label if no probability reaches ${(100 * model.reject_below).toFixed(0)} %.`);
  $("about").textContent = [about[0], scored, ...decided, about[1]].join(" ");
  if (model.thresholds) model.labels.forEach((label, place) => { thresholds[label] = model.thresholds[place] ?? 0.5; });
  if (!model.neighbours) {
    $("alike").checked = false;
    $("alike").parentElement.hidden = true;
  }
}

const address = () => `/predict?top=${Math.min(1000, Object.keys(thresholds).length || 5)}&neighbours=${$("alike").checked ? 5 : 0}&explain=${$("explain").checked}`;

function show(card, name, said) {
  const body = card.querySelector("tbody");
  if (said.value !== undefined) {
    const row = body.insertRow();
    const interval = said.low === null ? "" : ` (${short(said.low)} to ${short(said.high)} in 90 % of images)`;
    row.insertCell().textContent = `${short(said.value)}${interval}`;
  }
  if (said.rejected) body.insertRow().insertCell().textContent = `no label: not certain enough (${said.rejected}?)`;
  for (const one of said.top || []) {
    const row = body.insertRow();
    const needed = thresholds[one.label];
    if (needed !== undefined && one.probability >= needed) row.className = "present";
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = one.label;
    row.append(head);
    const share = (value) => `${(100 * value).toFixed(1)} %`;
    row.insertCell().textContent = needed === undefined ? share(one.probability) : `${share(one.probability)} ${one.probability >= needed ? "≥" : "<"} ${share(needed)}`;
    const bar = row.insertCell();
    bar.className = "bar";
    const meter = document.createElement("progress");
    meter.value = one.probability;
    meter.max = 1;
    bar.append(meter);
  }
  if (said.overlay) {
    card.querySelector(".image").src = said.image;
    const overlay = card.querySelector(".overlay");
    overlay.src = said.overlay;
    overlay.hidden = false;
  }
  if (said.neighbours?.length) {
    const list = card.querySelector(".alike ul");
    for (const near of said.neighbours) {
      const item = document.createElement("li");
      if (near.image) {
        const image = document.createElement("img");
        image.src = near.image;
        image.alt = "";
        item.append(image);
      }
      const label = document.createElement("span");
      label.textContent = near.label;
      item.append(label);
      item.title = `${near.path}, similarity ${near.similarity.toFixed(2)}`;
      list.append(item);
    }
    card.querySelector(".alike").hidden = false;
  }
  const label = said.rejected ? "" : said.label ?? said.labels?.join("|") ?? String(said.value);
  answers.push({ name, label, probability: said.probability });
}

const short = (value) => String(Number(value.toPrecision(4)));

$("csv").addEventListener("click", () => {
  const rows = answers.map((one) => [one.name, one.label || "", one.probability === undefined ? "" : one.probability.toFixed(6), one.error || ""]);
  download("predictions.csv", ["name", "label", "probability", "error"], rows);
});
start({ introduce, address, show, fail: (name, error) => answers.push({ name, error }), clear: () => { answers.length = 0; } });
