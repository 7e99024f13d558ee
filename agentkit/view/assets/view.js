"use strict";
// A page marked as live is fetched again while what it shows goes on.
const live = () => document.querySelector("main[data-live]");
async function again() {
  if (live() && !document.querySelector("form textarea:focus, form input:focus")) {
    try {
      const answer = await fetch(location.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const main = page.querySelector("main");
      if (answer.ok && main) document.querySelector("main").replaceWith(document.adoptNode(main));
    } catch { /* the server is away; the next round tries again */ }
  }
  if (live()) setTimeout(again, 2000);
}
setTimeout(again, 2000);
// The review queue by keyboard: a accepts, r rejects, s skips, n goes to the note, b goes back.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("textarea, input, select");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing) {
    if (event.key === "Escape") typing.blur();
    return;
  }
  const button = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!button) return;
  event.preventDefault();
  if (button.matches("textarea, input")) button.focus();
  else button.click();
});
