"use strict";
// Of a trial: a cross, pictures for a set time, noise over them, then the question.
const CROSS = 500, MASKS = 5, MASK = 30, EVERY = 50; // ms, ms, and trials until a rest
// A staircase: less after a right answer, more after a wrong one. It settles where
// answers are right three times out of four, as then 3 * DOWN = UP.
const FIRST = 500, DOWN = 10, UP = 30, LEAST = 100, MOST = 1000; // ms
const at = (id) => document.getElementById(id);
const words = new Uint32Array(4);
crypto.getRandomValues(words);
const participant = [...words].map((x) => x.toString(16).padStart(8, "0")).join("");
const single = study.task !== "choice";
const result = {
  study: study.name, participant, task: study.task, complete: false, began: null,
  screen: [innerWidth, innerHeight, devicePixelRatio], answers: [],
};
let saved = true, answer = null, next = null;

function uniform() { // in [0, 1)
  const x = new Uint32Array(1);
  crypto.getRandomValues(x);
  return x[0] / 2 ** 32;
}
function shuffled(list) {
  const found = [...list];
  for (let i = found.length - 1; i > 0; i--) {
    const j = Math.floor(uniform() * (i + 1));
    [found[i], found[j]] = [found[j], found[i]];
  }
  return found;
}
// Blocks, and trials in them, in an order of this participant's own; sides may change.
const flip = uniform() < 0.5;
const trials = shuffled(study.parts.map((blocks, part) => ({ blocks, part })))
  .flatMap(({ blocks, part }) => shuffled(blocks).flatMap(shuffled)
    .map((pictures) => ({ part, pictures: flip ? [...pictures].reverse() : pictures })));

// 0 real, 1 generated, 2 catch: known in a staircase only.
function code(picture) {
  let x = 2166136261;
  for (const letter of study.name + ":" + picture) {
    x = Math.imul(x ^ letter.charCodeAt(0), 16777619) >>> 0;
  }
  return study.codes[picture] ^ ((x ^ (x >>> 16)) & 3);
}

const frame = () => new Promise(requestAnimationFrame);
async function until(ms) { // the first frame that is not earlier, by half of one
  const start = await frame();
  let now = start;
  while (now - start < ms - 8) now = await frame();
  return now - start;
}
function noise(canvas) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas, data = context.createImageData(width, height);
  for (let i = 0; i < data.data.length; i++) {
    data.data[i] = i % 4 === 3 ? 255 : Math.random() * 256;
  }
  context.putImageData(data, 0, 0);
}
function show(state) {
  for (const place of at("stage").children) place.className = "picture " + state;
}

async function trial(one, seconds) {
  const places = [...at("stage").children];
  enable(false);
  at("question").textContent = "";
  show("cross");
  await Promise.all(places.map((place, i) => {
    const picture = place.querySelector("img");
    picture.src = study.pictures[one.pictures[i]];
    return picture.decode();
  }));
  await until(CROSS);
  show("shown");
  let shown = null;
  if (seconds > 0) {
    shown = await until(1000 * seconds);
    show("masked");
    for (let i = 0; i < MASKS; i++) {
      places.forEach((place) => noise(place.querySelector("canvas")));
      await until(MASK);
    }
    show("");
  }
  const asked = performance.now();
  at("question").textContent = single ? "Was this picture real, or generated?" :
    "Which of the two was real?";
  enable(true);
  const first = await new Promise((resolve) => { answer = resolve; });
  answer = null;
  enable(false);
  if (first === null) return false;
  const real = single ? (first ? one.pictures[0] : null) : one.pictures[first ? 0 : 1];
  result.answers.push({
    part: one.part, pictures: one.pictures, real,
    asked_ms: seconds > 0 ? Math.round(1000 * seconds) : null,
    shown_ms: shown === null ? null : Math.round(10 * shown) / 10,
    response_ms: Math.round(performance.now() - asked),
  });
  return true;
}
function enable(yes) {
  for (const button of at("answers").children) button.disabled = !yes;
}
function show_only(...ids) {
  for (const id of ["intro", "top", "stage", "below", "rest", "end"]) {
    at(id).hidden = !ids.includes(id);
  }
}
function make_places() {
  for (let i = 0; i < (single ? 1 : 2); i++) {
    const place = document.createElement(single ? "div" : "button");
    const picture = document.createElement("img"), mask = document.createElement("canvas");
    [mask.width, mask.height] = [32, 32];
    picture.alt = single ? "the picture" : ["the left picture", "the right one"][i];
    place.append(picture, mask);
    if (!single) place.addEventListener("click", () => answer && answer(i === 0));
    at("stage").append(place);
  }
  const texts = single ? ["Real", "Generated"] : ["The left one", "The right one"];
  texts.forEach((text, i) => {
    const button = document.createElement("button"), key = document.createElement("kbd");
    key.textContent = ["\u2190", "\u2192"][i];
    button.append(text + " ", key);
    button.addEventListener("click", () => answer && answer(i === 0));
    at("answers").append(button);
  });
}
async function run() {
  make_places();
  result.began = new Date().toISOString();
  saved = false;
  let time = FIRST, since = 0;
  for (const [i, one] of trials.entries()) {
    const change = i > 0 && one.part !== trials[i - 1].part;
    if (change || since === EVERY) {
      show_only("top", "rest");
      if (!(await new Promise((resolve) => { next = resolve; }))) break;
      next = null;
      since = 0;
    }
    if (change) time = FIRST;
    show_only("top", "stage", "below");
    at("progress").value = i / trials.length;
    at("count").textContent = i + 1 + " / " + trials.length;
    const caught = study.codes.length > 0 && code(one.pictures[0]) === 2;
    const ms = caught ? MOST : time;
    if (!(await trial(one, study.codes.length ? ms / 1000 : study.seconds))) break;
    since++;
    if (study.codes.length && !caught) {
      const right = (result.answers.at(-1).real === null) === (code(one.pictures[0]) === 1);
      time = Math.min(MOST, Math.max(LEAST, time + (right ? -DOWN : UP)));
    }
  }
  result.complete = result.answers.length === trials.length;
  at("said").textContent = (result.complete ? "That was all. " : "You have stopped. ") +
    "Your answers are in the file " + file() + ".";
  show_only("end");
  save();
}
function file() {
  return "answers-" + study.name + "-" + participant.slice(0, 8) + ".json";
}
function save() {
  const link = document.createElement("a");
  const text = new Blob([JSON.stringify(result)], { type: "application/json" });
  link.href = URL.createObjectURL(text);
  link.download = file();
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  saved = true;
}
at("begin").addEventListener("click", run, { once: true });
at("go-on").addEventListener("click", () => next && next(true));
at("stop").addEventListener("click", () => {
  if (answer) answer(null);
  if (next) next(false);
});
at("save").addEventListener("click", save);
addEventListener("keydown", (event) => {
  if (event.repeat) return;
  if (next && event.key === " ") next(true);
  if (!answer || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  event.preventDefault();
  answer(event.key === "ArrowLeft");
});
addEventListener("beforeunload", (event) => { if (!saved) event.preventDefault(); });
