#pragma once
// The looks of a report, and its script. The page is whole without the script, which shows values under the pointer and hides runs.

#include <string_view>

namespace capstan::engine {

/// Colours are those of Okabe and Ito, told apart with any colour vision, darkened where they would fade on white.
inline constexpr std::string_view kPageStyle = R"css(
:root{color-scheme:light dark;--paper:#fdfdfc;--ink:#1c2227;--muted:#5b6871;--hair:#e2e6e9;--soft:#f2f4f5;--bad:#b3261e;--heat:0,98,160;
--c0:#0067a5;--c1:#d1540a;--c2:#00875f;--c3:#a9478a;--c4:#94690a;--c5:#2f93cf;--c6:#565d63;--c7:#7d4a25}
@media (prefers-color-scheme:dark){:root{--paper:#14181b;--ink:#e3e8eb;--muted:#98a5ad;--hair:#2b3338;--soft:#1c2226;--bad:#ff8a80;--heat:88,169,230;
--c0:#58a9e6;--c1:#ff9052;--c2:#35c795;--c3:#e48fc4;--c4:#e3b341;--c5:#a5d8f8;--c6:#b9c1c6;--c7:#cfa17c}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif}
main{max-width:86rem;margin:0 auto;padding:clamp(1rem,3vw,2.5rem)}
h1{font-size:clamp(1.45rem,1.1rem + 1.5vw,2rem);line-height:1.2;font-weight:650;margin:.1rem 0 .4rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;font-weight:650;margin:2.6rem 0 1rem;padding-top:1.1rem;border-top:1px solid var(--hair)}
h3{font-size:1rem;font-weight:650;margin:1.8rem 0 .5rem;overflow-wrap:anywhere}
p{margin:.4rem 0;max-width:72ch}
a{color:var(--c0)}
.kicker,.lead,.note,footer{color:var(--muted)}
.kicker{font-size:.85rem;margin:0;letter-spacing:.02em}
nav{margin:1rem 0 0;font-size:.92rem}
nav a{margin-right:1.1rem;text-decoration:none;white-space:nowrap}
nav a:hover{text-decoration:underline}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.6rem,1fr));gap:.9rem 1.2rem;margin:1.4rem 0 0}
.facts div{border-left:2px solid var(--hair);padding-left:.7rem;min-width:0}
.facts dt{color:var(--muted);font-size:.82rem;line-height:1.3;overflow-wrap:anywhere}
.facts dd{margin:.1rem 0 0;font-size:1.16rem;line-height:1.3;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.facts small{display:block;color:var(--muted);font-size:.8rem}
.warnings{border-left:3px solid var(--bad);margin:1.4rem 0 0;padding:.1rem 0 .1rem 1rem}
.warnings p{overflow-wrap:anywhere}
.scroll{overflow-x:auto;max-width:100%;background:linear-gradient(to right,transparent,var(--paper) 60%) right/2.4rem 100% no-repeat local,
linear-gradient(to left,var(--hair),transparent) right/1.2rem 100% no-repeat scroll}
table{border-collapse:separate;border-spacing:0;font-size:.92rem;line-height:1.4;font-variant-numeric:tabular-nums}
th,td{padding:.3rem 1.3rem .3rem 0;text-align:right;vertical-align:top;border-bottom:1px solid var(--hair)}
th{font-weight:600}
thead th{color:var(--muted);font-weight:500;vertical-align:bottom}
tbody th{font-weight:500}
tbody th[scope=row]{white-space:nowrap}table.words tbody th{white-space:normal}
th.run{white-space:nowrap}td.text{min-width:9rem}
th:first-child,td:first-child,.text,table.words th,table.words td{text-align:left}
table.words td{overflow-wrap:anywhere;min-width:7rem}table.words thead th{white-space:nowrap}
.scroll th[scope=row]{position:sticky;left:0;background:var(--paper)}
td.number,th.number{text-align:right!important;white-space:nowrap}table.words td.number{min-width:0}
table.words td{white-space:pre-line}table.words td.number{white-space:nowrap}table.words td.lines{min-width:17rem}
td.best{font-weight:700}
code,.code{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;font-size:.88em}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:1.6rem 2rem;align-items:start}
figure{margin:0;min-width:0;position:relative}
figcaption{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1rem;font-size:.92rem;margin-bottom:.25rem;overflow-wrap:anywhere}
figcaption .name{font-weight:600}
figcaption .note{font-size:.82rem}
.chart{max-width:38rem}
.chart>svg{display:block;width:100%;height:auto;overflow:visible;touch-action:pan-y}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;fill:var(--muted);font-variant-numeric:tabular-nums}
.ticks.y text,.title.x,.mark .end,.level text{text-anchor:end}
.ticks.x text{text-anchor:middle}
.grid{stroke:var(--hair);fill:none}
.axis{stroke:var(--muted);fill:none;stroke-opacity:.7}
.s path{fill:none;stroke:currentColor;stroke-width:1.9;stroke-linejoin:round;stroke-linecap:round}
.s circle{fill:currentColor}
.s.faint{opacity:.34}
.s.faint path{stroke-width:1.1;stroke-dasharray:none}
.s .bad{stroke:var(--bad);stroke-dasharray:none}
.c0{color:var(--c0)}.c1{color:var(--c1)}.c2{color:var(--c2)}.c3{color:var(--c3)}.c4{color:var(--c4)}.c5{color:var(--c5)}.c6{color:var(--c6)}.c7{color:var(--c7)}
.d1 path{stroke-dasharray:7 3.5}.d2 path{stroke-dasharray:1.5 4}.d3 path{stroke-dasharray:10 3.5 1.5 3.5}.d4 path{stroke-dasharray:4 4}
.level path{stroke:var(--muted);stroke-width:1.1;fill:none}
.level text,.mark text{font-size:11px;paint-order:stroke;stroke:var(--paper);stroke-width:3.5px;stroke-linejoin:round}
.mark circle{fill:var(--paper);stroke:currentColor;stroke-width:2}
.mark path{stroke:currentColor;stroke-width:1;stroke-dasharray:2 3;fill:none}
.mark text{fill:var(--ink);font-weight:600}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1.2rem;margin:.3rem 0 0;padding:0;font-size:.85rem;color:var(--muted)}
.legend li{overflow-wrap:anywhere}
.swatch{width:1.75em;height:.63em;margin-right:.45em;vertical-align:.08em}
.swatch path{stroke-width:2.6}
.spark{width:6rem;height:1.25rem;vertical-align:middle}
.spark path{fill:none;stroke:var(--c0);stroke-width:1.4;stroke-linejoin:round}
.runs{position:sticky;top:0;z-index:2;background:var(--paper);display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;padding:.6rem 0;margin:1.4rem 0 0;border-bottom:1px solid var(--hair);font-size:.92rem;max-height:30vh;overflow:auto}
.runs~section:first-of-type h2{border:0;margin-top:.6rem}
.runs button{font:inherit;color:inherit;background:none;border:0;padding:.15rem 0;cursor:pointer}
.runs button[aria-pressed=false]{opacity:.4;text-decoration:line-through}
.tip{position:absolute;z-index:3;pointer-events:none;background:var(--paper);border:1px solid var(--hair);border-radius:4px;box-shadow:0 2px 10px rgba(0,0,0,.14);padding:.3rem .6rem;font-size:.8rem;line-height:1.45;font-variant-numeric:tabular-nums;max-width:90%}
.tip b{font-weight:600}
.tip i{display:inline-block;width:.7em;height:.7em;border-radius:50%;background:currentColor;margin-right:.4em}
.tip span{color:var(--ink)}
details>summary{cursor:pointer;color:var(--muted);font-size:.9rem;padding:.2rem 0}
details.values>summary{font-size:.8rem}
.values table{font-size:.82rem}
.values th,.values td{padding:.12rem 1rem .12rem 0}
.more{margin-top:1.6rem}
.more>summary{margin-bottom:.8rem}
.pictures{display:grid;gap:1.1rem 1.1rem;grid-template-columns:repeat(auto-fill,minmax(min(100%,var(--picture,12rem)),1fr))}
.pictures.small{--picture:6.5rem}.pictures.large{--picture:20rem}
.pictures img{display:block;width:100%;height:auto;border-radius:3px;background:var(--soft)}
.pictures.small img{image-rendering:pixelated}
.pictures figcaption{display:block;font-size:.82rem;line-height:1.35;color:var(--muted);margin:.3rem 0 0;white-space:pre-line}
.matrix{font-size:.85rem}
.matrix td,.matrix th{padding:.28rem .5rem;border:1px solid var(--paper);text-align:right}
.matrix td{background-clip:padding-box;min-width:2.6rem}
.matrix thead th{text-align:right;white-space:nowrap}
.matrix tbody th{text-align:left;white-space:nowrap;font-weight:500}
.matrix.many thead th{writing-mode:vertical-rl;transform:rotate(180deg);text-align:left;padding:.5rem .28rem}
.matrix.many thead th:first-child{writing-mode:horizontal-tb;transform:none}
.matrix.many td,.matrix.many tbody th{padding:.12rem .3rem;min-width:0}
.h0{color:var(--muted)}
.h1{background:rgba(var(--heat),.07)}.h2{background:rgba(var(--heat),.15)}.h3{background:rgba(var(--heat),.25)}.h4{background:rgba(var(--heat),.36)}.h5{background:rgba(var(--heat),.48)}
.h6{background:rgba(var(--heat),.6);color:#fff}.h7{background:rgba(var(--heat),.7);color:#fff}.h8{background:rgba(var(--heat),.8);color:#fff}.h9{background:rgba(var(--heat),.9);color:#fff}.h10{background:rgb(var(--heat));color:#fff}
@media (prefers-color-scheme:dark){.h6,.h7,.h8,.h9,.h10{color:#0c1013}}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--hair);font-size:.85rem}
footer p{overflow-wrap:anywhere}
.origin{color:var(--muted)}
@media print{:root{--paper:#fff;--ink:#000;--muted:#444;--hair:#ccc}main{max-width:none;padding:0}.runs{position:static}nav,details.values,.tip{display:none}
figure,tr{break-inside:avoid}h2,h3{break-after:avoid}.charts{grid-template-columns:1fr 1fr}}
)css";

inline constexpr std::string_view kPageScript = R"js(
(function () {
  'use strict';
  var main = document.querySelector('main');
  document.querySelectorAll('.runs .key').forEach(function (key) {
    var button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('aria-pressed', 'true');
    while (key.firstChild) button.appendChild(key.firstChild);
    key.appendChild(button);
    button.addEventListener('click', function () {
      var shown = button.getAttribute('aria-pressed') !== 'true';
      button.setAttribute('aria-pressed', String(shown));
      main.classList.toggle('hide-' + key.dataset.run, !shown);
    });
  });
  document.querySelectorAll('figure.chart').forEach(function (figure) {
    var svg = figure.querySelector('svg'), series = null, tip = null, line = null;
    var box = svg.dataset.x.split(' ').map(Number), title = svg.querySelector('.title.x').textContent;
    function read() {
      return Array.from(svg.querySelectorAll('g.s[data-p]')).map(function (g) {
        var points = g.dataset.p ? g.dataset.p.split(';').map(function (p) {
          var parts = p.split(',');
          return {at: Number(parts[0]), x: parts[1], y: parts[2]};
        }) : [];
        return {g: g, name: g.dataset.n, points: points};
      });
    }
    function nearest(points, at) {
      var best = null;
      points.forEach(function (p) {
        if (!best || Math.abs(p.at - at) < Math.abs(best.at - at)) best = p;
      });
      return best;
    }
    function leave() {
      if (tip) tip.remove();
      if (line) line.remove();
      tip = line = null;
    }
    svg.addEventListener('pointerleave', leave);
    svg.addEventListener('pointermove', function (event) {
      series = series || read();
      var area = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / area.width;
      var at = (event.clientX - area.left) * scale, found = null;
      var shown = series.filter(function (s) { return s.points.length && getComputedStyle(s.g).display !== 'none'; });
      shown.forEach(function (s) {
        var p = nearest(s.points, at);
        if (!found || Math.abs(p.at - at) < Math.abs(found.at - at)) found = p;
      });
      if (!found) return leave();
      if (!tip) {
        var name = svg.querySelector('title');
        if (name) {  // which the browser would show over the values
          svg.setAttribute('aria-label', name.textContent);
          svg.removeAttribute('aria-labelledby');
          name.remove();
        }
        tip = figure.appendChild(document.createElement('div'));
        tip.className = 'tip';
        line = svg.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'path'));
        line.setAttribute('class', 'axis');
      }
      line.setAttribute('d', 'M' + found.at + ',' + box[2] + 'V' + box[3]);
      tip.textContent = '';
      var head = tip.appendChild(document.createElement('b'));
      head.textContent = title + ' ' + found.x;
      shown.forEach(function (s) {
        var p = nearest(s.points, found.at);
        if (Math.abs(p.at - found.at) > 6) return;
        var row = tip.appendChild(document.createElement('div'));
        row.setAttribute('class', s.g.getAttribute('class').replace(/\bs\b|faint/g, ''));
        row.appendChild(document.createElement('i'));
        row.appendChild(document.createElement('span')).textContent = p.y + '  ' + s.name;
      });
      var left = found.at / scale, wide = tip.offsetWidth;
      tip.style.left = Math.max(0, left + 12 + wide > area.width ? left - 12 - wide : left + 12) + 'px';
      tip.style.top = (svg.getBoundingClientRect().top - figure.getBoundingClientRect().top + box[2] / scale) + 'px';
    });
  });
})();
)js";

/// Of the script, base64 of SHA-256: the page allows this one and no other. tests/recipes/engine/report/page.sh says what it must be.
inline constexpr std::string_view kPageScriptHash = "pX212gRc2i0YhtQSoWoJY9x86CDNolc1EtG60QzIGqk=";

}  // namespace capstan::engine
