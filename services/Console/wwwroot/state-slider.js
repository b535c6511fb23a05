// The state at the moment that the slider points to, without leaving the page. Without a script the button does it.
(() => {
  'use strict';
  const form = document.querySelector('[data-slider]'), range = form.querySelector('input[type=range]'), output = form.querySelector('output');
  const target = document.querySelector(form.dataset.slider);
  form.querySelector('button').hidden = true;
  let waiting, newest = 0;
  // The clock of the place is eight hours ahead, as on the rest of the page.
  const words = seconds => new Date((seconds + 8 * 3600) * 1000).toISOString().slice(0, 19).replace('T', ' ');

  range.addEventListener('input', () => {
    output.textContent = words(Number(range.value));
    range.setAttribute('aria-valuetext', output.textContent);
    clearTimeout(waiting);
    waiting = setTimeout(look, 150);
  });

  async function look() {
    const asked = ++newest;
    target.setAttribute('aria-busy', 'true');
    const answer = await fetch(`${form.dataset.part}?t=${range.value}`).catch(() => null);
    if (asked !== newest) return;
    target.removeAttribute('aria-busy');
    if (!answer?.ok) return;
    target.innerHTML = await answer.text();
    document.querySelectorAll('[data-map]').forEach(map => map.dispatchEvent(new Event('huzhu:redraw')));
  }
})();
