// What the page does for every kind of model: a token, files from everywhere, and a few requests at once.
const AT_ONCE = 3;
const MOST_BYTES = 20_000_000;
export const $ = (id) => document.getElementById(id);

/* Begin. A kind has `introduce(model)`, `address()`, `show(card, name, said)`, `fail(name, reason)`, `clear()`. */
export function start(kind) {
  let token = sessionStorage.getItem("token") || "";
  let queue = [];
  let running = 0;
  let total = 0;
  let done = 0;
  let era = 0; // how often the page was cleared: what was asked before no longer counts
  let known;
  const isKnown = new Promise((resolve) => { known = resolve; });
  const headers = () => (token ? { authorization: `Bearer ${token}` } : {});

  async function introduce() {
    const answer = await fetch("/model", { headers: headers() });
    $("key").hidden = answer.status !== 401;
    if (!answer.ok) return;
    kind.introduce(await answer.json());
    known();
  }

  function take(files) {
    for (const file of files) {
      const card = $("card").content.firstElementChild.cloneNode(true);
      const name = file.name || "pasted image";
      card.querySelector(".name").textContent = name;
      const image = card.querySelector(".image");
      image.src = URL.createObjectURL(file);
      image.alt = name;
      $("results").append(card);
      queue.push({ file, card, name });
      total += 1;
    }
    $("tools").hidden = !$("results").children.length;
    work();
  }

  function work() {
    while (running < AT_ONCE && queue.length) {
      running += 1;
      const begun = era;
      ask(queue.shift()).finally(() => {
        running -= 1;
        if (begun === era) {
          done += 1;
          $("status").textContent = done < total ? `${done} of ${total} images` : `${total} image${total === 1 ? "" : "s"} done`;
        }
        work();
      });
    }
  }

  async function ask({ file, card, name }, tries = 0) {
    if (file.size > MOST_BYTES) return fail(card, name, `The file has ${(file.size / 1e6).toFixed(0)} MB, but at most ${MOST_BYTES / 1e6} MB are accepted.`);
    let answer;
    try {
      answer = await fetch(kind.address(), { method: "POST", body: file, headers: { ...headers(), "content-type": "application/octet-stream" } });
    } catch {
      return fail(card, name, "The server can't be reached. Is it still running?");
    }
    if (answer.status === 503 && tries < 20) {
      await new Promise((resolve) => setTimeout(resolve, 500 + 1000 * Math.random()));
      return ask({ file, card, name }, tries + 1);
    }
    const said = await answer.json().catch(() => ({ error: `The server answered with status ${answer.status}.` }));
    if (answer.status === 401) $("key").hidden = false;
    if (!answer.ok) return fail(card, name, `This file can't be used: ${said.error}`);
    await isKnown;
    if (card.isConnected) kind.show(card, name, said.predictions[0]);
  }

  function fail(card, name, reason) {
    const problem = card.querySelector(".problem");
    problem.textContent = reason;
    problem.hidden = false;
    card.querySelector(".image").hidden = true;
    if (card.isConnected) kind.fail(name, reason);
  }

  $("clear").addEventListener("click", () => {
    $("results").replaceChildren();
    queue = [];
    total = done = 0;
    era += 1;
    $("tools").hidden = true;
    $("status").textContent = "";
    kind.clear();
  });
  for (const id of ["files", "camera"]) $(id).addEventListener("change", (event) => { take(event.target.files); event.target.value = ""; });
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
}

/* The first labels, and how many more there are. */
export function named(labels) {
  return labels.slice(0, 12).join(", ") + (labels.length > 12 ? ` and ${labels.length - 12} more` : "");
}

function cell(value) {
  const text = String(value);
  const isNumber = /^[+-]?\d+([.,]\d+)?(e[+-]?\d+)?$/i.test(text);
  const safe = /^[=+\-@\t\r]/.test(text) && !isNumber ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

/* Offer rows of cells as a CSV file. */
export function download(name, header, rows) {
  const first = header.map((title) => (/^\w+$/.test(title) ? title : cell(title)));
  const text = [first, ...rows.map((row) => row.map(cell))].map((row) => row.join(",")).join("\n") + "\n";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
}
