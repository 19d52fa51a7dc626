// SPDX-License-Identifier: Apache-2.0
// Chooses which lines the charts draw in color, and saves a chart as a file. Without it the charts
// show what they were made with.
"use strict";
(() => {
  const charts = [...document.querySelectorAll("svg.chart")];

  // Names at the line ends, pushed apart so that none that is shown covers another.
  function place(chart) {
    const names = [...chart.querySelectorAll(".serie:not(.off) .name[data-end]")]
      .sort((a, b) => a.dataset.end - b.dataset.end);
    const floor = chart.viewBox.baseVal.height - 40;
    const spots = [];
    for (const name of names) spots.push(Math.max(+name.dataset.end, spots.length ? spots[spots.length - 1] + 14 : 10));
    const over = spots.length ? Math.max(0, spots[spots.length - 1] - floor) : 0;
    names.forEach((name, i) => {
      const spot = spots[i] - over, lead = name.previousElementSibling;
      name.setAttribute("y", spot + 4);
      if (lead && lead.classList.contains("lead"))
        lead.setAttribute("d", lead.getAttribute("d").replace(/L([\d.]+) -?[\d.]+$/, `L$1 ${spot.toFixed(1)}`));
    });
    let row = 0;
    for (const serie of chart.querySelectorAll(".serie:not(.off)")) {
      const key = serie.querySelector(".key-line");
      if (!key) continue;
      const y = 20 + 18 * row++;
      key.setAttribute("d", key.getAttribute("d").replace(/ -?[\d.]+h/, ` ${y - 4}h`));
      serie.querySelector(".name").setAttribute("y", y);
    }
  }

  const chooser = document.querySelector(".chooser");
  if (chooser) {
    chooser.hidden = false;
    const boxes = [...chooser.querySelectorAll("input")], menus = [...chooser.querySelectorAll("select")];
    const first = boxes.map((box) => box.checked);
    const show = () => {
      for (const box of boxes)
        for (const serie of document.querySelectorAll(`.serie[data-serie="${box.dataset.serie}"]`)) {
          serie.classList.toggle("off", !box.checked);
          if (box.checked) serie.parentNode.append(serie);
        }
      charts.forEach(place);
    };
    chooser.addEventListener("change", (event) => {
      if (event.target.tagName === "SELECT")
        for (const box of boxes) {
          const axes = JSON.parse(box.dataset.axes);
          box.checked = menus.every((menu) => !menu.value || axes[menu.dataset.axis] === menu.value);
        }
      show();
    });
    chooser.querySelector("button").addEventListener("click", () => {
      boxes.forEach((box, i) => { box.checked = first[i]; });
      menus.forEach((menu) => { menu.value = ""; });
      show();
    });
  }

  // A copy whose colors and fonts are written out, so that it looks the same outside this page.
  const KEPT = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-weight", "font-family", "display"];
  function standalone(chart) {
    const copy = chart.cloneNode(true);
    const from = chart.querySelectorAll("*"), to = copy.querySelectorAll("*");
    from.forEach((node, i) => {
      const style = getComputedStyle(node);
      to[i].setAttribute("style", KEPT.map((name) => `${name}:${style.getPropertyValue(name)}`).join(";"));
    });
    const { width, height } = chart.viewBox.baseVal, back = document.createElementNS(copy.namespaceURI, "rect");
    for (const [name, value] of Object.entries({ width, height, fill: getComputedStyle(document.body).backgroundColor }))
      back.setAttribute(name, value);
    copy.prepend(back);
    copy.setAttribute("xmlns", copy.namespaceURI);
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    return new XMLSerializer().serializeToString(copy);
  }
  for (const chart of charts) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "save";
    button.textContent = "save as SVG";
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([standalone(chart)], { type: "image/svg+xml" }));
      link.download = `${chart.getAttribute("aria-labelledby").replace(/-t$/, "")}.svg`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    chart.after(button);
  }
})();
