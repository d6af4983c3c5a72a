"use strict";
// A video that waits to be encoded: says how far it is, and plays it when that is done.
{
  const box = document.getElementById("encoding");
  const text = document.getElementById("encoding-text");
  const bar = document.getElementById("encoding-bar");

  const refresh = async () => {
    if (document.hidden) return;
    const { document: recording, problem } = await askStation(box.dataset.url);
    if (problem) {
      text.textContent = problem;
      return;
    }
    if (recording.encoding === null) {
      location.reload();
      return;
    }
    text.textContent = recording.encoding.text;
    bar.hidden = recording.encoding.percent === null;
    bar.value = recording.encoding.percent ?? 0;
  };
  setInterval(refresh, 3000);
}
