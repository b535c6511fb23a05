// The call-taker's form: one key for one choice, and what is under way for the caller while the number is typed. The form works without.
'use strict';
(() => {
  const form = document.querySelector('form[data-keys]');
  if (!form) return;
  const on = document.getElementById('keys-on');
  const store = 'huzhu.keys';
  for (const hidden of form.querySelectorAll('.keys-switch, .keys-hint')) hidden.hidden = false;
  try { on.checked = localStorage.getItem(store) !== 'off'; } catch { /* nothing is remembered */ }
  on.addEventListener('change', () => { try { localStorage.setItem(store, on.checked ? 'on' : 'off'); } catch { /* the same */ } });

  const isText = element => element.matches('textarea, select, input:not([type=checkbox]):not([type=radio])') || element.closest('.leaflet-container');
  document.addEventListener('keydown', event => {
    if (event.isComposing) return;
    if (event.ctrlKey && event.key === 'Enter') {
      event.preventDefault();
      form.querySelector('button.primary').click();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    // With Alt from anywhere; the bare key only where it writes nothing, and only while that is switched on.
    if (!event.altKey && (!on.checked || isText(event.target))) return;
    const key = event.altKey ? event.code.replace(/^(Key|Digit)/, '').toLowerCase() : event.key.toLowerCase();
    const choice = form.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!choice) return;
    event.preventDefault();
    choice.focus();
    choice.click();
  });

  for (const switcher of form.querySelectorAll('[data-shows]')) {
    const shown = document.getElementById(switcher.dataset.shows);
    const show = () => { shown.hidden = !switcher.checked; };
    switcher.addEventListener('change', show);
    show();
  }

  const phone = document.getElementById('phone');
  const place = document.getElementById('repeats');
  let timer = 0, asked = '';
  const ask = async () => {
    const number = phone.value.trim();
    if (number === asked) return;
    asked = number;
    const body = new URLSearchParams({ phone: number, __RequestVerificationToken: form.elements.__RequestVerificationToken.value });
    try {
      const answer = await fetch(form.dataset.repeats, { method: 'POST', body, headers: { 'X-Requested-With': 'fetch' } });
      if (asked === number) place.innerHTML = answer.status === 200 ? await answer.text() : '';
    } catch { /* the page that reads back says it too */ }
  };
  phone.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(ask, 350); });
  if (phone.value) ask();
})();
