// Maps: the outlines of the district, and what a page puts on them. Each has a table or fields beside it that say the same.
'use strict';
window.huzhuMap = async element => {
  element.hidden = false;
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const map = L.map(element, { zoomAnimation: !still, fadeAnimation: !still, attributionControl: !!element.dataset.tiles, scrollWheelZoom: false });
  if (element.dataset.tiles) L.tileLayer(element.dataset.tiles, { attribution: element.dataset.attribution || '', maxZoom: 19 }).addTo(map);
  const style = getComputedStyle(document.documentElement);
  const colour = name => style.getPropertyValue(name).trim();
  const outlines = await (await fetch(element.dataset.district)).json();
  const district = L.geoJSON(outlines, {
    style: { color: colour('--muted'), weight: 1.5, fillColor: colour('--surface'), fillOpacity: element.dataset.tiles ? .15 : 1 },
    onEachFeature: (feature, layer) => layer.bindTooltip(feature.properties.name, { permanent: true, direction: 'center', className: 'district-name' }),
  }).addTo(map);
  map.fitBounds(district.getBounds().isValid() ? district.getBounds() : [[-60, -180], [75, 180]]);
  return { map, district, colour };
};

// A place is picked by a click, or by the arrow keys on the marker.
const picking = document.querySelector('[data-map=pick]');
if (picking) window.huzhuMap(picking).then(({ map, district, colour }) => {
  const [lat, lon, area] = ['lat', 'lon', 'subDistrict'].map(id => document.getElementById(id));
  const marker = L.circleMarker(map.getCenter(), { radius: 11, weight: 4, color: colour('--bad'), fillColor: colour('--bad'), fillOpacity: .35, keyboard: true });
  const put = (at, say = true) => {
    marker.setLatLng(at).addTo(map);
    if (!say) return;
    lat.value = at.lat.toFixed(5);
    lon.value = at.lng.toFixed(5);
  };
  const mark = () => {
    if (lat.value && lon.value && isFinite(lat.value) && isFinite(lon.value)) put(L.latLng(+lat.value, +lon.value), false);
  };
  const inside = (ring, at) => {
    let odd = false;
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [xi, yi] = ring[i], [xj, yj] = ring[j];
      if ((yi > at.lat) !== (yj > at.lat) && at.lng < (xj - xi) * (at.lat - yi) / (yj - yi) + xi) odd = !odd;
    }
    return odd;
  };
  map.on('click', event => {
    put(event.latlng);
    district.eachLayer(layer => {
      const { geometry, properties } = layer.feature;
      const polygons = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates;
      if (area && polygons.some(rings => inside(rings[0], event.latlng))) area.value = properties.name;
    });
  });
  picking.addEventListener('keydown', event => {
    if (event.key !== 'Enter' || event.ctrlKey) return;
    event.preventDefault();
    put(map.getCenter());
  });
  area?.addEventListener('change', () => district.eachLayer(layer => {
    if (layer.feature.properties.name === area.value) map.fitBounds(layer.getBounds());
  }));
  lat.addEventListener('change', mark);
  lon.addEventListener('change', mark);
  mark();
});
