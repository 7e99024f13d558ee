"use strict";
// A page marked as live is fetched again while what it shows goes on.
const live = () => document.querySelector("main[data-live]");
async function again() {
  if (live() && !document.querySelector("form textarea:focus, form input:focus")) {
    try {
      const answer = await fetch(location.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const main = page.querySelector("main");
      const before = document.querySelector("main");
      if (answer.ok && main) {
        const open = [...before.querySelectorAll("details")].map((part) => part.open);
        main.querySelectorAll("details").forEach((part, place) => { part.open = open[place] || false; });
        before.replaceWith(document.adoptNode(main));
      }
    } catch { /* the server is away; the next round tries again */ }
  }
  if (live()) setTimeout(again, 2000);
}
setTimeout(again, 2000);
// By keyboard: a accepts, r rejects, c corrects, s skips, n goes to the note, b goes back to the claim before.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("textarea, input, select");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing) {
    const note = event.key === "Enter" && typing.matches("input[data-key]");
    if (note) event.preventDefault();
    if (note || event.key === "Escape") typing.blur();
    return;
  }
  const found = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!found) return;
  event.preventDefault();
  if (found.matches("details")) {
    found.open = true;
    found.querySelector("input:not([type=hidden])").focus();
  } else if (found.matches("textarea, input")) found.focus();
  else found.click();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-back]")) return;
  event.preventDefault();
  history.back();
});
