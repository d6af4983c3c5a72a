"use strict";
const player = document.getElementById("player");
const box = document.getElementById("q");

// What cannot be watched yet: look again, but take nothing away that is being typed.
const waiting = document.querySelector("[data-state=recording], [data-state=captured]");
if (waiting) {
  setInterval(async () => {
    if (document.hidden || box.value || document.activeElement === box) return;
    const { document: recording } = await askStation(waiting.dataset.url);
    if (!recording) return;
    const watchable = recording.so_far && recording.so_far.plays;
    if (watchable || recording.state !== waiting.dataset.state) location.reload();
  }, 3000);
}

if (player) enhance(player);

function enhance(player) {
  const video = document.getElementById("video");
  const clock = document.getElementById("clock");
  const said = document.getElementById("said");
  const started = Date.parse(player.dataset.started);
  const frame = 1 / Number(player.dataset.rate);
  const speeds = [...document.querySelectorAll("[data-speed]")];
  // The time of day at the station, wherever the page is looked at.
  const offset = Number(player.dataset.offset) * 60000;
  const formatted = new Intl.DateTimeFormat(undefined, {
    hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1,
    hourCycle: "h23", timeZone: "UTC",
  });
  document.getElementById("controls").hidden = false;
  document.getElementById("keys").hidden = false;

  const show = (seconds) => {
    const moment = new Date(started + seconds * 1000);
    clock.textContent = formatted.format(moment.getTime() + offset);
    clock.dateTime = moment.toISOString();
  };
  show(0);
  if ("requestVideoFrameCallback" in video) {
    const shown = (_now, picture) => {
      show(picture.mediaTime);
      video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
  } else {
    video.addEventListener("timeupdate", () => show(video.currentTime));
  }
  video.addEventListener("seeking", () => show(video.currentTime));

  const setSpeed = (speed) => {
    video.playbackRate = speed;
    video.defaultPlaybackRate = speed;
  };
  video.addEventListener("ratechange", () => {
    for (const button of speeds) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === video.playbackRate));
    }
  });
  for (const button of speeds) {
    button.addEventListener("click", () => setSpeed(Number(button.dataset.speed)));
  }
  const nextSpeed = (step) => {
    const known = speeds.map((button) => Number(button.dataset.speed));
    const index = known.indexOf(video.playbackRate);
    setSpeed(known[Math.min(known.length - 1, Math.max(0, index + step))]);
  };

  const seek = (seconds) => {
    const end = Number.isFinite(video.duration) ? video.duration : seconds;
    video.currentTime = Math.min(end, Math.max(0, seconds));
  };
  // Half a picture further in, so that rounding never shows the one before.
  const step = (count) => {
    video.pause();
    const index = Math.floor(video.currentTime / frame + 1e-3);
    seek((index + count + 0.5) * frame);
  };
  const toggle = () => (video.paused ? video.play() : video.pause());
  const fullScreen = () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (player.requestFullscreen) player.requestFullscreen();
    else if (video.webkitEnterFullscreen) video.webkitEnterFullscreen();
  };
  document.getElementById("back").addEventListener("click", () => step(-1));
  document.getElementById("forward").addEventListener("click", () => step(1));
  document.getElementById("full").addEventListener("click", fullScreen);

  const copy = document.getElementById("copy");
  const copyText = copy.textContent;
  copy.addEventListener("click", async () => {
    const link = new URL(location.href);
    link.search = "?t=" + Math.floor(video.currentTime);
    link.hash = "";
    history.replaceState(null, "", link);
    let done = "Link is in the address bar";
    try {
      await navigator.clipboard.writeText(link.href);
      done = "Link copied";
    } catch { /* without https a browser keeps the clipboard closed */ }
    copy.textContent = done;
    said.textContent = done;
    setTimeout(() => { copy.textContent = copyText; }, 2500);
  });

  Object.assign(shortcuts, {
    " ": toggle,
    ArrowLeft: () => seek(video.currentTime - 5), ArrowRight: () => seek(video.currentTime + 5),
    ",": () => step(-1), ".": () => step(1),
    "-": () => nextSpeed(-1), "+": () => nextSpeed(1), "=": () => nextSpeed(1),
    f: fullScreen,
  });

  video.addEventListener("error", () => {
    document.getElementById("unplayable").hidden = false;
  });
}
