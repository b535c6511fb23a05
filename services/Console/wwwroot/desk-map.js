// Draws what the table beside it says. Nothing is fetched but the outlines of the district, and tiles where they are configured.
(() => {
  'use strict';
  const reduced = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const of = name => style.getPropertyValue(name).trim();
    return { need: of('--focus'), chosen: of('--good'), can: of('--accent'), out: of('--muted'), warn: of('--warn'), bad: of('--bad'), line: of('--line'), ink: of('--ink') };
  };

  // A name is somebody's words: text, never markup.
  const words = text => Object.assign(document.createElement('span'), { textContent: text });

  function rowsOf(id) {
    return [...document.querySelectorAll(`#${id} [data-lat]`)].map(row => ({
      row, lat: Number(row.dataset.lat), lon: Number(row.dataset.lon), label: row.dataset.label, tone: row.dataset.tone || 'can', size: Number(row.dataset.size || 0),
    })).filter(one => one.row.dataset.lat && Number.isFinite(one.lat) && Number.isFinite(one.lon));
  }

  async function start(frame) {
    frame.hidden = false;
    const map = L.map(frame, { zoomControl: true, attributionControl: !!frame.dataset.tiles, fadeAnimation: !reduced, zoomAnimation: !reduced, markerZoomAnimation: !reduced });
    map.attributionControl?.setPrefix(false);
    if (frame.dataset.tiles) L.tileLayer(frame.dataset.tiles, { maxZoom: 18 }).addTo(map);
    const outlines = await fetch('/district.json').then(answer => answer.ok ? answer.json() : { features: [] }).catch(() => ({ features: [] }));
    const colour = colours();
    const district = L.geoJSON(outlines, {
      interactive: false, style: { color: colour.out, weight: 1.5, fillColor: colour.line, fillOpacity: .12 },
      onEachFeature: (feature, layer) => layer.bindTooltip(words(feature.properties.name), { permanent: true, direction: 'center', className: 'place-name' }),
    }).addTo(map);
    const marks = L.layerGroup().addTo(map);
    let seen = false;

    function draw() {
      const colour = colours();
      marks.clearLayers();
      const rows = rowsOf(frame.dataset.map);
      // What matters most last, so that it lies on top.
      const order = ['out', 'can', 'warn', 'bad', 'chosen', 'need'];
      rows.sort((a, b) => order.indexOf(a.tone) - order.indexOf(b.tone));
      const need = rows.find(one => one.tone === 'need'), chosen = rows.find(one => one.tone === 'chosen');
      if (need && chosen) L.polyline([[need.lat, need.lon], [chosen.lat, chosen.lon]], { color: colour.chosen, weight: 3, dashArray: '2 6', interactive: false }).addTo(marks);
      for (const one of rows) {
        const shape = one.tone === 'need'
          ? L.circleMarker([one.lat, one.lon], { radius: 10, color: colour.need, weight: 4, fillOpacity: .15 })
          : L.circleMarker([one.lat, one.lon], {
              radius: one.tone === 'chosen' ? 10 : 6 + Math.min(24, Math.sqrt(one.size) * 4), color: colour[one.tone], weight: one.tone === 'out' ? 1.5 : 2.5,
              dashArray: one.tone === 'out' ? '3 3' : null, fillColor: colour[one.tone], fillOpacity: one.tone === 'out' ? .08 : .45,
            });
        shape.bindTooltip(words(one.label)).addTo(marks);
      }
      if (!seen) {
        const bounds = rows.length > 0 && !frame.dataset.draw ? L.latLngBounds(rows.map(one => [one.lat, one.lon])) : L.latLngBounds([]);
        if (!bounds.isValid() || rows.length < 2) { const all = district.getBounds(); if (all.isValid()) bounds.extend(all); }
        if (bounds.isValid()) { map.fitBounds(bounds.pad(.08), { animate: false, maxZoom: 16 }); seen = true; }
        else map.setView([31.2, 121.45], 12);
      }
    }
    draw();
    frame.addEventListener('huzhu:redraw', draw);
    if (frame.dataset.draw) drawing(frame, map);
  }

  // An area is drawn corner by corner; the text beside it says the same, and can be written by hand instead.
  function drawing(frame, map) {
    const text = document.getElementById(frame.dataset.draw);
    const colour = colours();
    const shape = L.polygon([], { color: colour.bad, weight: 3, fillOpacity: .15 }).addTo(map);
    const corners = L.layerGroup().addTo(map);
    const read = () => text.value.split('\n').map(line => line.split(/[,，\s]+/).filter(part => part).map(Number)).filter(pair => pair.length === 2 && pair.every(Number.isFinite));
    const show = () => {
      const points = read();
      shape.setLatLngs(points);
      corners.clearLayers();
      for (const point of points) L.circleMarker(point, { radius: 5, color: colour.bad, fillOpacity: 1, interactive: false }).addTo(corners);
    };
    const write = points => {
      text.value = points.map(point => `${point[0].toFixed(5)},${point[1].toFixed(5)}`).join('\n');
      show();
    };
    map.on('click', event => write([...read(), [event.latlng.lat, event.latlng.lng]]));
    text.addEventListener('input', show);
    const bar = document.createElement('div');
    bar.className = 'actions';
    for (const [label, act] of [[frame.dataset.undo, () => write(read().slice(0, -1))], [frame.dataset.clear, () => write([])]]) {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = label;
      button.addEventListener('click', act);
      bar.append(button);
    }
    text.after(bar);
    show();
    const drawn = shape.getBounds();
    if (drawn.isValid()) map.fitBounds(drawn.pad(.3), { animate: false });
  }

  for (const frame of document.querySelectorAll('[data-map]')) start(frame);
})();
