// What a browser with scripts does more: live lists, dialogs, choosing all, asking before what cannot be undone.
// Every page works without it.

const EVERY = 3000; // milliseconds between looks at a live list, unless it says another time itself

function liveLists() {
  for (const part of document.querySelectorAll("[data-live]")) {
    keepFresh(part);
  }
}

// The server renders the part again; it is put in place only when it has changed and nobody is busy inside.
async function keepFresh(part) {
  const address = new URL(part.dataset.live, location.href);
  const every = Number(part.dataset.every ?? EVERY);
  let failures = 0;
  for (;;) {
    await new Promise((done) => setTimeout(done, every * Math.min(10, 1 + failures)));
    if (document.hidden || part.contains(document.activeElement)) continue;
    try {
      const answer = await fetch(address, { headers: { accept: "text/html" }, redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403) {
        location.reload(); // the session is over: the server shows the login page
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      failures = 0;
      if (text !== part.lastText) {
        part.lastText = text;
        const open = [...part.querySelectorAll("details")].map((details) => details.open);
        part.innerHTML = text;
        part.querySelectorAll("details").forEach((details, place) => (details.open = open[place] ?? false));
      }
    } catch {
      failures += 1;
    }
  }
}

function dialogs() {
  for (const opener of document.querySelectorAll("[data-opens]")) {
    const dialog = document.getElementById(opener.dataset.opens);
    if (!dialog) continue;
    opener.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.showModal();
    });
    for (const closer of dialog.querySelectorAll("[data-closes]")) {
      closer.addEventListener("click", (event) => {
        event.preventDefault();
        dialog.close();
      });
    }
  }
}

function chooseAll() {
  for (const box of document.querySelectorAll("[data-all]")) {
    box.hidden = false;
    box.addEventListener("change", () => {
      for (const one of document.querySelectorAll(`input[name="${box.dataset.all}"]`)) one.checked = box.checked;
    });
  }
}

// Buttons that say what they will do ask before they do it.
function questions() {
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.asks ?? event.target.dataset.asks;
    if (question && !window.confirm(question)) event.preventDefault();
  });
}

function countDowns() {
  for (const shown of document.querySelectorAll("[data-until]")) {
    const end = Date.parse(shown.dataset.until);
    const tick = () => {
      const left = Math.max(0, Math.round((end - Date.now()) / 1000));
      shown.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
      if (left > 0) setTimeout(tick, 1000);
    };
    tick();
  }
}

// A row that is taken out of a list before it is sent.
function removableRows() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-removes]");
    if (!button) return;
    event.preventDefault();
    const row = button.closest("tr");
    const next = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    next?.querySelector("input:not([type=hidden]), button")?.focus();
  });
}

liveLists();
dialogs();
chooseAll();
questions();
countDowns();
removableRows();
document.querySelector(".menu [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
document.querySelector("[data-focus]")?.focus();
