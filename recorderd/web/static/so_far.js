"use strict";
// A recording that runs: the video on the page ends where the recording was when it was loaded.
// Whoever has seen that, or wants the newest picture, gets a longer one in its place.
{
  const running = document.getElementById("running");
  const headline = document.getElementById("running-headline");
  const details = document.getElementById("running-details");
  const newest = document.getElementById("newest");
  const video = document.getElementById("video");
  const page = location.pathname;
  let loaded = Number(running.dataset.seconds);
  let ended = false;
  let waiting = false;

  const lasting = (seconds) => {
    const whole = Math.round(seconds);
    return Math.floor(whole / 60) + ":" + String(whole % 60).padStart(2, "0");
  };

  const show = ({ document: recording, problem }) => {
    if (problem) {
      details.textContent = problem;
    } else if (recording.state !== "recording") {
      ended = true;
      running.classList.add("over");
      headline.textContent = "The recording has ended.";
      details.textContent = "You see the first " + lasting(loaded) + ".";
      newest.textContent = "Open the whole video";
    } else if (recording.so_far) {
      details.textContent = "It has lasted " + lasting(recording.so_far.seconds) +
        "; you see it up to " + lasting(loaded) + ".";
    }
  };

  // What there is by now; undefined if it has ended or cannot be told just now.
  const look = async () => {
    const answer = await askStation(running.dataset.url);
    show(answer);
    return answer.document && !ended ? answer.document.so_far : undefined;
  };

  // Put the longer video in the place of this one. Its pictures are the same up to here.
  const goOn = (soFar, seconds) => {
    const speed = video.playbackRate;
    loaded = soFar.seconds;
    video.src = soFar.video + "#t=" + seconds;
    video.playbackRate = video.defaultPlaybackRate = speed;
    video.play().catch(() => { /* the browser wants to be asked by a person */ });
  };

  const refresh = async () => {
    if (document.hidden || ended) return;
    const soFar = await look();
    if (waiting && soFar && soFar.seconds > loaded + 1) {
      waiting = false;
      goOn(soFar, loaded);
    }
  };
  setInterval(refresh, 3000);

  video.addEventListener("ended", () => {
    waiting = true;
    refresh();
  });
  for (const event of ["seeking", "play"]) {
    video.addEventListener(event, () => { waiting = false; });
  }

  newest.addEventListener("click", async (event) => {
    event.preventDefault();
    if (ended) {
      location.assign(page + "?t=" + Math.floor(video.currentTime));
      return;
    }
    const soFar = await look();
    if (soFar) goOn(soFar, Math.max(0, soFar.seconds - 1));
  });
}
