"use strict";
(() => {
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  const toggles = document.getElementById("toggles");
  if (toggles) {
    toggles.hidden = false;
    toggles.addEventListener("change", (event) => {
      for (const each of document.querySelectorAll("[data-series]")) {
        if (each.dataset.series === event.target.value) {
          if (each instanceof SVGElement) each.style.display = event.target.checked ? "" : "none";
          else each.hidden = !event.target.checked;
        }
      }
    });
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    table.querySelectorAll("thead th").forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        table.querySelectorAll("thead th").forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0];
        const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
        const rows = [...body.rows].sort((a, b) => {
          const [x, y] = [key(a), key(b)];
          const order = x !== "" && y !== "" && !isNaN(x) && !isNaN(y) ? x - y : x.localeCompare(y);
          return down ? -order : order;
        });
        body.append(...rows);
      });
    });
  }
  const picks = JSON.parse(document.getElementById("picks")?.textContent ?? "[]");
  const viridis = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
  const shade = (share) => {
    const at = share * 4, low = Math.min(3, Math.floor(at));
    return viridis[low].map((from, n) => from + (viridis[low + 1][n] - from) * (at - low));
  };
  const make = (name, parent, set = {}) => Object.assign(parent.appendChild(document.createElement(name)), set);
  for (const place of document.querySelectorAll("[data-pick]")) {
    const data = picks[place.dataset.pick];
    const layers = data.layers.map((each) => ({ ...each, bytes: Uint8Array.from(atob(each.maps), (c) => c.charCodeAt(0)) }));
    const [rows, columns] = layers[0].grid;
    let image = 0, row = rows >> 1, column = columns >> 1;
    const label = make("label", place, { textContent: "Image " });
    const choose = make("select", label);
    data.images.forEach((_, n) => make("option", choose, { value: n, textContent: n + 1 }));
    const line = make("div", place, { className: "row" });
    const box = make("div", line, { className: "image", tabIndex: 0 });
    box.setAttribute("role", "application");
    const picture = make("img", box, { alt: "the image, with the chosen patch framed" });
    const mark = make("div", box, { className: "mark" });
    const told = make("p", place, { className: "how" });
    told.setAttribute("aria-live", "polite");
    const captions = [];
    const maps = layers.map((each) => {
      const figure = make("figure", line);
      const canvas = make("canvas", figure, { width: each.grid[1], height: each.grid[0] });
      canvas.setAttribute("role", "img");
      captions.push(make("figcaption", figure));
      return canvas;
    });
    const draw = () => {
      picture.src = "data:image/png;base64," + data.images[image];
      mark.style.cssText = `left:${100 * column / columns}%;top:${100 * row / rows}%;width:${100 / columns}%;height:${100 / rows}%`;
      const where = `row ${row + 1}, column ${column + 1} of ${rows} by ${columns}`;
      told.textContent = `Image ${image + 1}, patch in ${where}.`;
      box.setAttribute("aria-label", `Choose a patch with the arrow keys; now ${where}`);
      layers.forEach((each, n) => {
        const [r, c] = each.grid, count = r * c;
        const query = Math.floor((row + .5) * r / rows) * c + Math.floor((column + .5) * c / columns);
        const begin = (image * count + query) * count;
        const context = maps[n].getContext("2d"), pixels = context.createImageData(c, r);
        const values = each.bytes.subarray(begin, begin + count);
        const most = Math.max(...values), least = Math.min(...values), best = values.indexOf(most);
        values.forEach((value, i) => pixels.data.set([...shade((value - least) / (most - least || 1)), 255], 4 * i));
        context.putImageData(pixels, 0, 0);
        const flat = `the least is ${Math.round(100 * least / (most || 1))} % of the most`;
        captions[n].textContent = `${each.name}: ${flat}`;
        maps[n].setAttribute("aria-label", `${each.name}: most from row ${Math.floor(best / c) + 1}, column ${best % c + 1}; ${flat}`);
      });
    };
    choose.addEventListener("change", () => { image = +choose.value; draw(); });
    box.addEventListener("click", (event) => {
      const at = box.getBoundingClientRect();
      column = Math.min(columns - 1, Math.max(0, Math.floor((event.clientX - at.left) / at.width * columns)));
      row = Math.min(rows - 1, Math.max(0, Math.floor((event.clientY - at.top) / at.height * rows)));
      draw();
    });
    box.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!move) return;
      event.preventDefault();
      row = Math.min(rows - 1, Math.max(0, row + move[0]));
      column = Math.min(columns - 1, Math.max(0, column + move[1]));
      draw();
    });
    draw();
  }
})();
