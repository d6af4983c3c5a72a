"use strict";
// Keeps the line about the station fresh. Everything else works without scripts.
const live = document.getElementById("live");
const headline = document.getElementById("live-headline");
const details = document.getElementById("live-details");
const watch = document.getElementById("live-watch");
const faults = document.getElementById("live-faults");

async function refresh() {
  if (document.hidden) return;
  try {
    const response = await fetch(live.dataset.url);
    if (!response.ok) return;
    const { words } = await response.json();
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
  } catch {
    live.className = "live off";
    details.textContent = "no connection to the station";
  }
}
setInterval(refresh, 5000);

// A hand scanner types and presses Enter: let it type into the box, and over what is there.
const box = document.getElementById("q");
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && event.target === document.body) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});
if (box.value) box.select();
for (const picture of document.querySelectorAll(".thumb img")) {
  picture.addEventListener("error", () => picture.remove());
}
