// The pages work without this script. It updates open pages, copies ids and adds keyboard
// shortcuts.
"use strict";

document.documentElement.classList.add("js");

// A page is not updated while the user fills in a form or selects text, or while it is
// hidden.
const busy = () => document.hidden || document.querySelector("main details[open]") ||
  document.activeElement?.matches("main input:not([type=checkbox]), main select") ||
  document.querySelector("main input[type=checkbox]:checked") || getSelection().type === "Range";

async function refresh() {
  if (busy()) return false;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.redirected || !answer.ok) return location.reload();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-refresh]")) {
    const next = fresh.getElementById(part.id);
    if (!next || next.innerHTML === part.dataset.seen) continue;
    const focused = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
    part.dataset.seen = next.innerHTML;
    part.replaceChildren(...next.childNodes);
    if (focused) part.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
  }
  showLive();
  return true;
}

let source, stale = false, paused = false;

function follow() {
  const address = document.body.dataset.stream;
  if (!address || paused) return;
  source = new EventSource(address);
  source.addEventListener("change", async () => { stale = !await refresh(); });
}

function showLive() {
  for (const button of document.querySelectorAll("[data-live]")) {
    button.setAttribute("aria-pressed", String(!paused));
    button.querySelector("[data-live-text]").textContent = paused ? "Paused" : "Live";
    button.title = paused ? "Resume live updates" : "Pause live updates";
  }
}

addEventListener("click", async (e) => {
  if (e.target.closest("[data-live]")) {
    paused = !paused;
    source?.close();
    showLive();
    if (!paused) { follow(); refresh(); }
  }
  const copy = e.target.closest("[data-copy]");
  if (copy) {
    await navigator.clipboard?.writeText(copy.dataset.copy);
    copy.classList.add("done");
    setTimeout(() => copy.classList.remove("done"), 1200);
  }
  for (const open of document.querySelectorAll("details.confirm[open], details.user[open]"))
    if (!open.contains(e.target)) open.open = false;
});

addEventListener("change", (e) => {
  if (e.target.matches("[data-all]"))
    for (const box of document.querySelectorAll("input[name=id]")) box.checked = e.target.checked;
});

addEventListener("toggle", (e) => {
  if (e.target.open) e.target.querySelector("input[name=reason]")?.focus();
  else if (stale) refresh();
}, true);

addEventListener("keydown", (e) => {
  if (e.key === "Escape") for (const open of document.querySelectorAll("details[open]")) open.open = false;
  if (e.target.matches("input, select, textarea") || e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "/") { e.preventDefault(); document.querySelector("[data-hotkey='/']")?.focus(); }
  if (e.key !== "j" && e.key !== "k") return;
  const links = [...document.querySelectorAll(".list tbody tr")].map((row) => row.querySelector("a")).filter(Boolean);
  const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  links[Math.max(0, Math.min(links.length - 1, at + (e.key === "j" ? 1 : -1)))]?.focus();
});

document.addEventListener("visibilitychange", () => { if (!document.hidden && stale) refresh(); });
follow();
