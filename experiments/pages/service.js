"use strict";
const at = (id) => document.getElementById(id);
const fields = { models: [], limits: {}, latents: null, running: null, again: false };

function headers(kind) {
  const found = {};
  if (kind) found["Content-Type"] = kind;
  if (at("key").value) found["Authorization"] = "Bearer " + at("key").value;
  return found;
}

function say(text, bad) {
  at("said").textContent = text;
  at("said").className = bad ? "bad" : "quiet";
}

function options(select, names) {
  const before = select.value;
  select.replaceChildren(...names.map(([value, text]) => new Option(text, value)));
  if (names.some(([value]) => value === before)) select.value = before;
}

function model() { return fields.models.find((x) => x.name === at("model").value); }
function output() { const found = model(); return found && found.outputs[at("output").value]; }

function normal(n) {
  return Array.from({ length: n }, () =>
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
}

function walked(t) {
  const latents = output().latents, size = output().inputs[latents].shape[1];
  if (!fields.latents || fields.latents[0].length !== size)
    fields.latents = [normal(size), normal(size)];
  const [a, b] = fields.latents, angle = t * Math.PI / 2;
  return a.map((x, i) => Math.cos(angle) * x + Math.sin(angle) * b[i]);
}

function show() {
  const found = output();
  for (const id of ["n", "truncation", "walk"])
    document.querySelector('output[for="' + id + '"]').value = at(id).value;
  if (!found) return;
  const upload = Boolean(found.upload), label = found.classes;
  at("row-picture").hidden = !upload;
  at("row-seed").hidden = !found.random;
  at("next").hidden = !found.random;
  at("row-n").hidden = upload;
  at("row-class").hidden = !label;
  at("row-truncation").hidden = !found.truncation;
  at("row-walk").hidden = !found.latents;
  at("n").max = Math.min(64, fields.limits.samples);
  if (label) {
    const input = found.inputs[label];
    const names = input.names || [...Array(input.classes).keys()].map(String);
    options(at("class"), [["", "all in turn"], ...names.map((x, i) => [String(i), x])]);
  }
}

function choose() {
  const found = model();
  if (found) options(at("output"), Object.keys(found.outputs).map((x) => [x, x]));
  show();
}

async function load() {
  try {
    const answer = await fetch("/v1/models", { headers: headers() });
    const content = await answer.json();
    if (!answer.ok) return say(content.error, true);
    Object.assign(fields, content);
    options(at("model"), fields.models.map((x) => [x.name, x.name + ", " + x.variant]));
    choose();
    if (!fields.models.length) say("No model is loaded yet.");
  } catch (error) { say("The service does not answer.", true); }
}

function request(walk) {
  const found = output();
  const url = "/v1/models/" + encodeURIComponent(at("model").value) + "/" +
    encodeURIComponent(at("output").value);
  const picture = (found.formats.includes("png")) ? "png" : "json";
  if (found.upload) {
    const file = at("picture-file").files[0];
    if (!file) return null;
    const query = new URLSearchParams({ format: "png", seed: at("seed").value });
    return [url + "?" + query, { method: "POST", headers: headers(file.type), body: file }];
  }
  const asked = { format: picture };
  if (walk) asked.latents = [walked(Number(at("walk").value))];
  else { asked.n = Number(at("n").value); asked.seed = Number(at("seed").value); }
  if (found.classes && at("class").value !== "") asked["class"] = Number(at("class").value);
  if (found.truncation) asked.truncation = Number(at("truncation").value);
  const body = JSON.stringify(asked);
  return [url, { method: "POST", headers: headers("application/json"), body }];
}

async function make(walk) {
  if (!output()) return load();
  if (fields.running) { fields.again = [walk]; return fields.running; }
  const found = request(walk);
  if (!found) return say("Choose a picture first.", true);
  fields.running = send(...found);
  await fields.running;
  fields.running = null;
  if (fields.again) { const [last] = fields.again; fields.again = false; return make(last); }
}

async function send(url, options) {
  const begun = performance.now();
  say("Working\u2026");
  try {
    const answer = await fetch(url, options);
    const kind = answer.headers.get("content-type") || "";
    if (!answer.ok) return say((await answer.json()).error, true);
    const image = kind.startsWith("image/");
    if (image) await draw(await answer.blob());
    else at("arrays").textContent = JSON.stringify(await answer.json(), null, 1);
    at("picture").hidden = at("keep").hidden = !image;
    at("arrays").hidden = image;
    const took = Math.round(performance.now() - begun);
    say("Step " + answer.headers.get("x-model-step") + ", " + took + " ms");
  } catch (error) { say("The service does not answer.", true); }
}

async function draw(blob) {
  const picture = at("picture"), before = picture.src;
  picture.src = at("keep").href = URL.createObjectURL(blob);
  at("keep").download = at("model").value + "_" + at("seed").value + ".png";
  await picture.decode();
  const side = Math.max(picture.naturalWidth, picture.naturalHeight);
  picture.className = side > 512 ? "large" : "";
  picture.width = picture.naturalWidth * Math.max(1, Math.floor(384 / side));
  picture.alt = "Samples of " + at("model").value + ", made by a model";
  if (before) URL.revokeObjectURL(before);
}

at("form").addEventListener("submit", (event) => { event.preventDefault(); make(false); });
at("next").addEventListener("click", () => {
  at("seed").value = Number(at("seed").value) + 1;
  fields.latents = null;
  make(false);
});
at("model").addEventListener("change", choose);
at("output").addEventListener("change", show);
at("key").addEventListener("change", load);
for (const id of ["n", "truncation"]) {
  at(id).addEventListener("input", show);
  at(id).addEventListener("change", () => make(false));
}
at("walk").addEventListener("input", () => { show(); make(true); });
at("class").addEventListener("change", () => make(false));
at("seed").addEventListener("change", () => make(false));
load();
