"use strict";
const player = document.getElementById("player");
const box = document.getElementById("q");

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input")) {
    event.preventDefault();
    box.focus();
  }
});

// A recording that cannot be watched yet: look again.
if (document.querySelector("[data-state=recording], [data-state=captured]")) {
  setTimeout(() => location.reload(), 3000);
}

if (player) enhance(player);

function enhance(player) {
  const video = document.getElementById("video");
  const clock = document.getElementById("clock");
  const said = document.getElementById("said");
  const started = Date.parse(player.dataset.started);
  const frame = 1 / Number(player.dataset.rate);
  const speeds = [...document.querySelectorAll("[data-speed]")];
  const formatted = new Intl.DateTimeFormat(undefined, {
    hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1, hour12: false,
  });
  document.getElementById("controls").hidden = false;
  document.getElementById("keys").hidden = false;

  const show = (seconds) => {
    const moment = new Date(started + seconds * 1000);
    clock.textContent = formatted.format(moment);
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

  const keys = {
    " ": toggle, k: toggle,
    ArrowLeft: () => seek(video.currentTime - 5), ArrowRight: () => seek(video.currentTime + 5),
    j: () => seek(video.currentTime - 10), l: () => seek(video.currentTime + 10),
    ",": () => step(-1), ".": () => step(1),
    "-": () => nextSpeed(-1), "+": () => nextSpeed(1), "=": () => nextSpeed(1),
    f: fullScreen, Home: () => seek(0), End: () => seek(video.duration || 0),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("input, select, summary, dialog")) return;
    if (event.key === " " && event.target.closest("button, a")) return;
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }, true);

  video.addEventListener("error", () => {
    document.getElementById("unplayable").hidden = false;
  });
}
