"use strict";
// Shows the photos that a button asks for. Labels come from attributes and go into text only, never into markup.
(() => {
  const status = document.getElementById("status");
  const cards = [...document.querySelectorAll(".card")];
  const buttons = [...document.querySelectorAll("button[data-show]")];

  const belongs = {
    top: (card) => "top" in card.dataset,
    mistakes: (card) => card.dataset.target !== card.dataset.prediction,
    all: () => true,
    pair: (card, { target, prediction }) =>
      card.dataset.target === target && card.dataset.prediction === prediction,
  };

  function show(button) {
    const choice = button.dataset;
    let shown = 0;
    for (const card of cards) {
      card.hidden = !belongs[choice.show](card, choice);
      if (!card.hidden) shown += 1;
    }
    for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    const count = Number(choice.count);
    const photos = count === 1 ? "1 photo" : `${count} photos`;
    const missing = shown < count ? `, ${shown} of them in this page` : "";
    status.textContent = choice.show === "top" ? choice.name : `${choice.name}: ${photos}${missing}`;
    if (choice.show === "pair") {
      status.focus({ preventScroll: true });
      document.getElementById("photos").scrollIntoView({ block: "start" });
    }
  }

  for (const button of buttons) button.addEventListener("click", () => show(button));
})();
