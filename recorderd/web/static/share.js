"use strict";
const address = document.getElementById("address");
address.value = document.getElementById("link").href;
address.hidden = false;
address.addEventListener("focus", () => address.select());
