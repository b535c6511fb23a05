// Keeps the board as it is: Matching says when something changed, the server says it in the reader's language.
(() => {
  'use strict';
  const board = document.getElementById('board'), live = document.getElementById('board-live');
  let busy = false, again = false;

  async function look() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(board.dataset.part, { headers: { Accept: 'text/html' } });
      if (answer.ok && !answer.redirected) {
        replace(new DOMParser().parseFromString(await answer.text(), 'text/html'));
        say(true);
      } else say(false);
    } catch { say(false); }
    busy = false;
    if (again) { again = false; look(); }
  }

  // Only what has changed, and nothing that somebody is in.
  function replace(fresh) {
    const parts = fresh.querySelectorAll('[data-block]');
    if (!board.querySelector('[data-block]')) board.replaceChildren(...fresh.body.childNodes);
    else for (const part of parts) {
      const old = board.querySelector(`[data-block="${part.dataset.block}"]`);
      if (!old || old.innerHTML === part.innerHTML && old.className === part.className || old.contains(document.activeElement)) continue;
      old.className = part.className;
      const scrolled = [...old.querySelectorAll('.scroll')].map(one => one.scrollTop);
      old.innerHTML = part.innerHTML;
      old.querySelectorAll('.scroll').forEach((one, index) => { one.scrollTop = scrolled[index] ?? 0; });
    }
    document.querySelectorAll('[data-map]').forEach(map => map.dispatchEvent(new Event('huzhu:redraw')));
  }

  function say(isLive) {
    const text = isLive ? live.dataset.live : live.dataset.stale;
    if (live.textContent !== text) live.textContent = text;
    live.classList.toggle('stale', !isLive);
  }

  const source = new EventSource(board.dataset.live);
  source.addEventListener('board', look);
  source.onerror = () => say(false);
  addEventListener('pagehide', () => source.close());
  // Ages grow while nothing else changes.
  setInterval(look, 30_000);
})();
