// Parts of a page that follow what happens: the server says when something has changed, and the part is fetched anew. The page works without.
'use strict';
for (const part of document.querySelectorAll('[data-live]')) {
  const source = new EventSource(part.dataset.live);
  let seen = null;
  source.addEventListener('changed', async event => {
    const first = seen === null;
    seen = event.data;
    // What is on the page is at most a moment old; the first word is compared, not fetched.
    if (first && part.dataset.version === seen) return;
    const answer = await fetch(part.dataset.part);
    if (answer.status !== 200) return;
    const html = await answer.text();
    if (html.trim() !== part.innerHTML.trim()) part.innerHTML = html;
  });
}
