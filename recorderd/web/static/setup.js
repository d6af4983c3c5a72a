"use strict";
// Aiming the camera: the newest picture again and again, what it means, and a zone that is drawn.
{
  const byId = (id) => document.getElementById(id);
  const setup = byId("setup");
  const picture = byId("picture");
  const overlay = byId("overlay");
  const form = byId("zone-form");
  const edges = ["left", "top", "right", "bottom"].map((name) => form.elements[name]);
  const PAUSE = 250;
  let taken = 0;
  let best = 0;

  // --- the picture and its meaning

  const show = (view) => {
    byId("problem").hidden = !view.problem;
    byId("readings").hidden = picture.hidden = Boolean(view.problem);
    byId("scene").classList.toggle("empty", Boolean(view.problem));
    if (view.problem) {
      byId("problem").textContent = view.problem;
      hum(0);
      return;
    }
    best = Math.max(best, view.focus);
    byId("focus").value = view.focus;
    byId("focus-number").textContent = Math.round(view.focus * 100);
    byId("best").hidden = false;
    byId("best").textContent = " (best so far " + Math.round(best * 100) + ")";
    byId("focus-words").textContent = view.focus_words;
    byId("exposure-words").textContent = view.exposure_words;
    const listed = view.codes.length ? view.codes : [{ words: "nothing" }];
    byId("read").replaceChildren(...listed.map(({ words, good }) => {
      const item = document.createElement("li");
      item.textContent = words;
      if (good !== undefined) item.className = good ? "good" : "poor";
      return item;
    }));
    byId("codes").replaceChildren(...view.codes.filter(({ corners }) => corners.length).map(({ corners }) => {
      const shape = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
      shape.setAttribute("points", corners.map(([x, y]) => 100 * x + "," + 100 * y).join(" "));
      return shape;
    }));
    hum(view.focus);
  };

  const load = (source) => new Promise((done) => {
    picture.onload = picture.onerror = done;
    picture.src = source;
  });

  const look = async () => {
    if (!document.hidden) {
      const { document: view, problem } = await askStation(setup.dataset.view);
      show(view || { problem });
      if (view && view.taken && view.taken !== taken) {
        taken = view.taken;
        picture.width = view.width;
        picture.height = view.height;
        await load(setup.dataset.picture + "?" + taken);
      }
    }
    setTimeout(look, PAUSE);
  };

  // --- a tone for whoever turns the focus ring and cannot see the page

  const tone = byId("tone");
  let sound;
  const hum = (focus) => {
    if (!sound) return;
    sound.pitch.frequency.setTargetAtTime(200 * 8 ** focus, sound.context.currentTime, 0.05);
    sound.loudness.gain.setTargetAtTime(focus > 0 ? 0.15 : 0, sound.context.currentTime, 0.05);
  };
  tone.hidden = !window.AudioContext;
  tone.addEventListener("click", () => {
    if (sound) {
      sound.context.close();
      sound = undefined;
    } else {
      const context = new AudioContext();
      const loudness = new GainNode(context, { gain: 0 });
      const pitch = new OscillatorNode(context, { type: "triangle" });
      pitch.connect(loudness).connect(context.destination);
      pitch.start();
      sound = { context, loudness, pitch };
    }
    tone.setAttribute("aria-pressed", String(Boolean(sound)));
  });

  // --- the zone

  const drawn = () => edges.map((edge) => Math.min(100, Math.max(0, Number(edge.value) || 0)));
  const redraw = () => {
    const [left, top, right, bottom] = drawn();
    const zone = byId("zone");
    zone.setAttribute("x", left);
    zone.setAttribute("y", top);
    zone.setAttribute("width", Math.max(0, right - left));
    zone.setAttribute("height", Math.max(0, bottom - top));
    byId("outside").setAttribute("d", `M0 0H100V100H0ZM${left} ${top}H${right}V${bottom}H${left}Z`);
    const whole = left === 0 && top === 0 && right === 100 && bottom === 100;
    // As the settings write it: 0.5, and 1.0 for a whole number.
    const written = (value) => {
      const share = Math.round(value * 100) / 10000;
      return Number.isInteger(share) ? share.toFixed(1) : String(share);
    };
    byId("line").textContent = "zone = [" + (whole ? "" : drawn().map(written).join(", ")) + "]";
  };

  const GRIP = 4;
  const at = (event) => {
    const box = overlay.getBoundingClientRect();
    const share = (value, from, size) => Math.min(100, Math.max(0, (100 * (value - from)) / size));
    return [share(event.clientX, box.left, box.width), share(event.clientY, box.top, box.height)];
  };
  // What a pointer has hold of: an edge or a corner that is near, else a new zone begins there.
  const grasp = ([x, y]) => {
    const [left, top, right, bottom] = drawn();
    const near = (value, edge) => Math.abs(value - edge) < GRIP;
    const beside = x > left - GRIP && x < right + GRIP && y > top - GRIP && y < bottom + GRIP;
    const across = near(x, left) ? 0 : near(x, right) ? 2 : undefined;
    const down = near(y, top) ? 1 : near(y, bottom) ? 3 : undefined;
    if (beside && (across !== undefined || down !== undefined)) return { across, down };
    return { from: [x, y] };
  };
  const put = (index, value) => { edges[index].value = Math.round(value * 10) / 10; };
  let held;
  overlay.addEventListener("pointerdown", (event) => {
    held = grasp(at(event));
    overlay.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  overlay.addEventListener("pointermove", (event) => {
    if (!held) return;
    const [x, y] = at(event);
    if (held.from) {
      put(0, Math.min(x, held.from[0]));
      put(1, Math.min(y, held.from[1]));
      put(2, Math.max(x, held.from[0]));
      put(3, Math.max(y, held.from[1]));
    } else {
      const [left, top, right, bottom] = drawn();
      if (held.across === 0) put(0, Math.min(x, right - 1));
      if (held.across === 2) put(2, Math.max(x, left + 1));
      if (held.down === 1) put(1, Math.min(y, bottom - 1));
      if (held.down === 3) put(3, Math.max(y, top + 1));
    }
    redraw();
  });
  overlay.addEventListener("pointerup", () => { held = undefined; });
  overlay.addEventListener("pointercancel", () => { held = undefined; });

  form.hidden = byId("how").hidden = false;
  form.addEventListener("input", redraw);
  overlay.classList.add("drawable");
  look();
}
