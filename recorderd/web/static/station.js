"use strict";
// What the station's API says at an address: {document}, or {problem} in words.
// The header tells the server not to let the browser ask for a password in a window of its own.
const askStation = async (address) => {
  try {
    const response = await fetch(address, { headers: { "X-Requested-With": "recorderd" } });
    if (response.ok) return { document: await response.json() };
    if (response.status === 401) return { problem: "Load the page again to log in." };
    return { problem: "The station is busy." };
  } catch {
    return { problem: "No connection to the station." };
  }
};
