"use strict";
// Keeps the line about the station fresh. Everything else works without scripts.
const live = document.getElementById("live");
const headline = document.getElementById("live-headline");
const details = document.getElementById("live-details");
const watch = document.getElementById("live-watch");
const faults = document.getElementById("live-faults");

async function refresh() {
  if (document.hidden) return;
  const answer = await askStation(live.dataset.url);
  if (answer.problem) {
    live.className = "live off";
    details.textContent = answer.problem;
    return;
  }
  const { words } = answer.document;
  live.className = "live " + words.level;
  headline.textContent = words.headline;
  details.textContent = words.details.join(" · ");
  watch.hidden = words.recording_id === null;
  watch.href = watch.href.replace(/[^/]*$/, words.recording_id ?? "");
  faults.hidden = words.faults_in_words.length === 0;
  faults.replaceChildren(...words.faults_in_words.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
}
setInterval(refresh, 5000);

const box = document.getElementById("q");
if (box.value) box.select();
for (const picture of document.querySelectorAll(".thumb img")) {
  picture.addEventListener("error", () => picture.remove());
}
