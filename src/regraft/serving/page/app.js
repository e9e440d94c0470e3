"use strict";
const $ = (id) => document.getElementById(id);
const AT_ONCE = 3;
const MOST_BYTES = 20_000_000;
const answers = [];
let thresholds = {};
let token = sessionStorage.getItem("token") || "";
let queue = [];
let running = 0;
let total = 0;
let done = 0;

const headers = () => (token ? { authorization: `Bearer ${token}` } : {});

async function introduce() {
  const answer = await fetch("/model", { headers: headers() });
  $("key").hidden = answer.status !== 401;
  if (!answer.ok) return;
  const model = await answer.json();
  const what = { classification: "accuracy", multilabel: "average precision", regression: "error" }[model.task];
  const scored = model.score ? `Its ${model.score} on ${model.judged_on}.` : `Its ${what} is not known, because it was saved without its scores.`;
  const most = model.labels.slice(0, 12).join(", ") + (model.labels.length > 12 ? ` and ${model.labels.length - 12} more` : "");
  const about = {
    classification: [`This model knows ${model.labels.length} classes: ${most}.`, "Pictures of anything else get one of these labels, too."],
    multilabel: [`This model knows ${model.labels.length} labels: ${most}. An image can have several or none.`, "It answers for pictures of anything else, too."],
    regression: ["This model predicts a number for an image.", "It answers for pictures of anything else, too."],
  }[model.task];
  $("about").textContent = `${about[0]} ${scored} ${about[1]}`;
  if (model.thresholds) model.labels.forEach((label, place) => { thresholds[label] = model.thresholds[place] ?? 0.5; });
  if (!model.neighbours) {
    $("alike").checked = false;
    $("alike").parentElement.hidden = true;
  }
}

function take(files) {
  for (const file of files) {
    const card = $("card").content.firstElementChild.cloneNode(true);
    card.querySelector(".name").textContent = file.name || "pasted image";
    const image = card.querySelector(".image");
    image.src = URL.createObjectURL(file);
    image.alt = file.name || "pasted image";
    $("results").append(card);
    queue.push({ file, card });
    total += 1;
  }
  $("tools").hidden = !$("results").children.length;
  work();
}

function work() {
  while (running < AT_ONCE && queue.length) {
    running += 1;
    ask(queue.shift()).finally(() => {
      running -= 1;
      done += 1;
      $("status").textContent = done < total ? `${done} of ${total} images` : `${total} image${total === 1 ? "" : "s"} done`;
      work();
    });
  }
}

async function ask({ file, card }, tries = 0) {
  const name = file.name || "pasted image";
  if (file.size > MOST_BYTES) return fail(card, name, `The file has ${(file.size / 1e6).toFixed(0)} MB, but at most ${MOST_BYTES / 1e6} MB are accepted.`);
  const neighbours = $("alike").checked ? 5 : 0;
  let answer;
  try {
    answer = await fetch(`/predict?top=${Math.min(1000, Object.keys(thresholds).length || 5)}&neighbours=${neighbours}&explain=${$("explain").checked}`, {
      method: "POST", body: file, headers: { ...headers(), "content-type": "application/octet-stream" },
    });
  } catch {
    return fail(card, name, "The server can't be reached. Is it still running?");
  }
  if (answer.status === 503 && tries < 20) {
    await new Promise((resolve) => setTimeout(resolve, 500 + 1000 * Math.random()));
    return ask({ file, card }, tries + 1);
  }
  const said = await answer.json().catch(() => ({ error: `The server answered with status ${answer.status}.` }));
  if (answer.status === 401) $("key").hidden = false;
  if (!answer.ok) return fail(card, name, `This file can't be used: ${said.error}`);
  show(card, name, said.predictions[0]);
}

function fail(card, name, reason) {
  const problem = card.querySelector(".problem");
  problem.textContent = reason;
  problem.hidden = false;
  card.querySelector(".image").hidden = true;
  answers.push({ name, error: reason });
}

function show(card, name, said) {
  const body = card.querySelector("tbody");
  if (said.value !== undefined) {
    const row = body.insertRow();
    const interval = said.low === null ? "" : ` (${short(said.low)} to ${short(said.high)} in 90 % of images)`;
    row.insertCell().textContent = `${short(said.value)}${interval}`;
  }
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
  const label = said.label ?? said.labels?.join("|") ?? String(said.value);
  answers.push({ name, label, probability: said.probability });
}

const short = (value) => String(Number(value.toPrecision(4)));

function cell(text) {
  const isNumber = /^[+-]?\d+([.,]\d+)?(e[+-]?\d+)?$/i.test(text);
  const safe = /^[=+\-@\t\r]/.test(text) && !isNumber ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

$("csv").addEventListener("click", () => {
  const lines = answers.map((one) => [one.name, one.label || "", one.probability === undefined ? "" : one.probability.toFixed(6), one.error || ""].map((value) => cell(String(value))).join(","));
  const text = ["name,label,probability,error", ...lines].join("\n") + "\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = "predictions.csv";
  link.click();
});
$("clear").addEventListener("click", () => {
  $("results").replaceChildren();
  answers.length = 0;
  queue = [];
  total = done = 0;
  $("tools").hidden = true;
  $("status").textContent = "";
});
$("files").addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
$("camera").addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem("token", token);
  introduce();
});
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files || [])];
  if (files.length) take(files);
});
for (const type of ["dragenter", "dragover"]) document.addEventListener(type, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
for (const type of ["dragleave", "drop"]) document.addEventListener(type, (event) => { event.preventDefault(); $("drop").classList.remove("over"); });
document.addEventListener("drop", (event) => take(event.dataTransfer.files));
introduce();
