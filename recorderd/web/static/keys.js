"use strict";
// Keys that do something on this page; other scripts add theirs.
const shortcuts = {};
{
  // A hand scanner is a keyboard that types a whole label in a moment and presses Enter. Wherever
  // the page is looked at, that is a search. People leave more time between two keys.
  const GAP_MILLISECONDS = 70;
  const SHORTEST_LABEL = 4;
  const box = document.getElementById("q");
  let typed = "";
  let last = -Infinity;
  let waiting = 0;

  const search = (text) => {
    box.value = text;
    box.form.requestSubmit();
  };
  shortcuts["/"] = () => {
    box.focus();
    box.select();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("input, select, textarea")) return;
    const quick = !event.repeat && event.timeStamp - last < GAP_MILLISECONDS;
    if (event.key === "Enter") {
      if (quick && typed.length >= SHORTEST_LABEL) {
        event.preventDefault();
        search(typed);
      }
      typed = "";
      return;
    }
    const letter = event.key.length === 1;
    if (letter) {
      last = event.timeStamp;
      typed = quick ? typed + event.key : event.key;
      if (quick) clearTimeout(waiting);
    }
    const action = shortcuts[event.key];
    if (!action || (event.key === " " && event.target.closest("button, a, summary"))) return;
    event.preventDefault();
    if (!letter || event.repeat) action();
    else if (!quick) waiting = setTimeout(action, GAP_MILLISECONDS);
  }, true);
}
