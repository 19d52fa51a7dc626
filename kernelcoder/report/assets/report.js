// SPDX-License-Identifier: Apache-2.0
// Fills a task with its attempts when it is opened, and an attempt when it is opened in turn, so
// that ten thousand of them cost nothing until asked for. Text enters the page as text, never as
// markup. Only a status of the ledger may claim anything; reasons and logs are shown as quotations.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  if (!data.cells) return;
  const SVG = "http://www.w3.org/2000/svg";

  // Control, format and private characters are spelled out, as everywhere in the report.
  const shown = (text) =>
    text.replace(/[^\n\t\P{C}]|[\u2028\u2029]|(?! )\p{Zs}/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
  const raw = (n) => (n === undefined ? "" : data.texts[n].map((b) => data.blocks[b]).join("\n\n"));

  function el(tag, attrs, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attrs || {})) node.setAttribute(name, value);
    for (const child of children) if (child !== null && child !== undefined) node.append(child);
    return node;
  }
  function svg(tag, attrs, text) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attrs)) node.setAttribute(name, value);
    if (text !== undefined) node.textContent = text;
    return node;
  }
  const quote = (text) => el("blockquote", { class: "evidence" }, shown(text));
  const times = (x) => (x < 9.995 ? x.toFixed(2) : x.toFixed(1));

  function fold(title, fill, open) {
    const node = el("details", {}, el("summary", {}, title));
    const once = () => {
      if (node.open && node.children.length === 1) node.append(...[fill()].flat());
    };
    node.addEventListener("toggle", once);
    if (open) { node.open = true; once(); }
    return node;
  }

  function grid(head, rows, kind) {
    return el("div", { class: "scroll", tabindex: "0" }, el("table", kind ? { class: kind } : {},
      el("thead", {}, el("tr", {}, ...head.map((h) => el("th", { scope: "col" }, h)))),
      el("tbody", {}, ...rows.map((row) =>
        el("tr", {}, ...row.map((c, i) => (i ? el("td", {}, c) : el("th", { scope: "row" }, c))))))));
  }

  function plot([median, lo, hi]) {
    const low = 0.25, high = 8, wide = 120;
    const px = (v) => 4 + (Math.log(Math.min(Math.max(v, low), high) / low) / Math.log(high / low)) * (wide - 8);
    const side = lo > 1 ? "up" : hi < 1 ? "down" : "even";
    const node = svg("svg", { class: "interval", viewBox: `0 0 ${wide} 16`, "aria-hidden": "true" });
    node.append(
      svg("path", { class: "rule", d: `M${px(1)} 1V15` }),
      svg("path", { class: `span ${side}`, d: `M${px(lo)} 8H${px(hi)}` }),
      svg("circle", { class: side, cx: px(median), cy: 8, r: 3.2 }));
    return node;
  }
  const ratioText = ([median, lo, hi, n]) => `${times(median)} [${times(lo)}, ${times(hi)}] n=${n}`;

  function timing(t, title) {
    const rows = Object.entries(t.speedup).map(([name, r]) => [`over ${name}`, plot(r), ratioText(r)]);
    const out = [el("p", {}, el("b", {}, title), ` ${(t.seconds * 1e6).toFixed(1)} \u00b5s per call over all cases` +
      (t.roofline === null ? "" : `, ${(100 * t.roofline).toFixed(0)}% of the roofline`))];
    out.push(grid(["speedup", "0.25 to 8, rule at 1", "median [95%]"], rows));
    if (t.cases.length) {
      out.push(grid(["case", "dtype", "regime", "\u00b5s", "roofline", ...Object.keys(t.speedup)],
        t.cases.map((c) => [`${shown(c[0])} ${c[1].join("\u00d7")}`, c[2], c[3], (c[4] * 1e6).toFixed(2),
          c[5] === null ? "-" : `${(100 * c[5]).toFixed(0)}%`,
          ...Object.keys(t.speedup).map((b) => (c[6][b] ? times(c[6][b][0]) : "-"))])));
    }
    for (const note of t.notes) out.push(quote(note));
    return out;
  }

  // Line difference by longest common subsequence, common head and tail cut off first.
  function difference(before, after) {
    const a = before.split("\n"), b = after.split("\n");
    let head = 0, tail = 0;
    while (head < a.length && head < b.length && a[head] === b[head]) head++;
    while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
    const m = a.slice(head, a.length - tail), n = b.slice(head, b.length - tail);
    const out = a.slice(0, head).map((line) => [" ", line]);
    if (m.length * n.length > 4e6) {
      out.push(...m.map((line) => ["-", line]), ...n.map((line) => ["+", line]));
    } else {
      const best = Array.from({ length: m.length + 1 }, () => new Uint32Array(n.length + 1));
      for (let i = m.length - 1; i >= 0; i--)
        for (let j = n.length - 1; j >= 0; j--)
          best[i][j] = m[i] === n[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
      let i = 0, j = 0;
      while (i < m.length || j < n.length) {
        if (i < m.length && j < n.length && m[i] === n[j]) { out.push([" ", m[i]]); i++; j++; }
        else if (i < m.length && (j === n.length || best[i + 1][j] >= best[i][j + 1])) out.push(["-", m[i++]]);
        else out.push(["+", n[j++]]);
      }
    }
    return out.concat(a.slice(a.length - tail).map((line) => [" ", line]));
  }

  function diffBlock(before, after) {
    const lines = difference(before, after);
    const near = lines.map((_, i) => lines.slice(Math.max(0, i - 3), i + 4).some((l) => l[0] !== " "));
    const pre = el("pre", { class: "diff" });
    if (!near.some(Boolean)) return el("p", {}, "The same text as its parent.");
    lines.forEach(([mark, text], i) => {
      if (near[i]) pre.append(el("span", { class: { "+": "add", "-": "del", " ": "same" }[mark] }, `${mark} ${shown(text)}`));
      else if (i === 0 || near[i - 1]) pre.append(el("span", { class: "gap" }, "  \u22ef"));
    });
    return pre;
  }

  function caseTable(t, task) {
    const first = t.cases && t.cases.length ? t : t.dup !== undefined ? task.tries.find((o) => o.n === t.dup) : t;
    if (!first || !first.cases || !first.cases.length) return el("p", {}, "No case was compared.");
    const order = [...first.cases].sort((x, y) => x[1] - y[1]);
    const show = (v) => (v === null ? "-" : typeof v === "number" ? v.toPrecision(3) : v);
    return grid(["case", "shape", "dtype", "layout", "", "max abs", "max rel", "max ulp", "differ", "cause"],
      order.map(([id, ok, abs, rel, ulp, bad, total, cause]) => {
        const [name, shape, dtype, layout, hidden] = data.cases[id];
        return [shown(name) + (hidden ? " (hidden)" : ""), shape.join("\u00d7"), dtype, layout,
          el("span", { class: ok ? "ok" : "bad" }, ok ? "right" : "wrong"), show(abs), show(rel), show(ulp),
          bad === null ? "-" : `${bad} of ${total}`, cause ? el("q", { class: "evidence" }, shown(cause)) : ""];
      }));
  }

  const usageText = (u) => `${u[0] ?? "unknown"} + ${u[1] ?? "unknown"} tokens, ` +
    (u[2] === null ? "price unknown" : `$${u[2].toFixed(4)}`);
  const messages = (prompt) => prompt.flatMap(([role, text]) => [el("b", {}, role), el("pre", {}, shown(raw(text)))]);

  // Where every learnt item comes from; a withheld one was drawn to stay out of the prompt.
  function provenance(t, cell) {
    return grid(["item", "in the prompt", "text", "learnt from"], t.context.map(([id, held]) => {
      const [text, places, many] = cell.items[id] || [undefined, [], 0];
      const more = many > places.length ? ` and ${many - places.length} more` : "";
      return [el("code", {}, shown(id)), held ? el("b", { class: "bad" }, "withheld") : "shown",
        text === undefined ? "not in a snapshot" : el("q", { class: "evidence" }, shown(raw(text))),
        shown(places.join(", ") || "unknown") + more];
    }), "words");
  }

  function step(s, number) {
    const title = `${number + 1}. ${s.purpose}` + (s.what === "verify" ? `: ${s.status}, ${s.seconds.toFixed(2)} s of the verifier`
      : `: ${usageText(s.usage || [null, null, null])}, ${(s.latency ?? 0).toFixed(2)} s${s.replayed ? ", from a recording" : ""}`);
    return fold(shown(title), () => s.what === "verify"
      ? [s.reason === undefined ? null : quote(raw(s.reason)), el("pre", {}, shown(raw(s.source)))].filter(Boolean)
      : [...messages(s.prompt || []), el("b", {}, "reply"), el("pre", {}, shown(raw(s.reply)))]);
  }

  function body(t, task, cell) {
    const out = [];
    const parent = t.parents ? task.tries.find((o) => o.n === t.parents[0]) : undefined;
    const spent = [t.served && `served by ${t.served}`, t.finish && `finish ${t.finish}`,
      t.latency !== undefined && `${t.latency.toFixed(2)} s`,
      t.usage && usageText(t.usage), t.arm && `arm ${t.arm}`, t.recipe && `recipe ${t.recipe}`,
      t.chain && `chain ${t.chain}`, t.shown && `saw ${t.shown.map((n) => `#${n}`).join(", ")}`,
      t.given && "a given source: no model was asked",
      t.replayed && "answered from a recording", t.sha && `kernel ${t.sha}`,
      t.seconds && Object.entries(t.seconds).map(([k, v]) => `${k} ${v.toFixed(2)} s`).join(", ")].filter(Boolean);
    out.push(el("p", {}, el("small", {}, shown(spent.join(" \u00b7 ")))));
    if (t.hint !== undefined) out.push(el("p", {}, "Hint given: "), quote(raw(t.hint)));
    if (t.reason !== undefined) out.push(quote(raw(t.reason)));
    if (t.evidence) out.push(...t.evidence.map((fact) => quote(raw(fact))));
    if (t.labels) out.push(el("p", {}, el("small", {}, shown(`Noticed: ${t.labels.join(", ")}.`))));
    if (t.checked !== undefined) out.push(el("p", {}, el("small", {}, shown(`Checked: ${raw(t.checked)}.`))));
    if (t.note !== undefined) out.push(quote(raw(t.note)));
    if (t.status && t.status !== "no_candidate") out.push(fold("Cases", () => caseTable(t, task), t.status === "incorrect"));
    if (t.timing) out.push(fold("Search timing", () => timing(t.timing, "Search timing (not a result)."), false));
    if (t.n === task.chosen && task.final) out.push(fold("Final timing", () => timing(task.final, "Final timing (the result)."), true));
    if (t.log !== undefined) out.push(fold("Log", () => el("pre", {}, shown(raw(t.log))), t.status === "compile_error"));
    if (t.source !== undefined) {
      if (parent && parent.source !== undefined)
        out.push(fold(`Difference to #${parent.n}`, () => diffBlock(raw(parent.source), raw(t.source)), true));
      out.push(fold("Code", () => el("pre", {}, shown(raw(t.source))), !parent));
    }
    if (t.context) {
      const held = t.context.filter((c) => c[1]).length;
      out.push(fold(`Learnt context: ${t.context.length - held} shown, ${held} withheld`, () => provenance(t, cell)));
    }
    if (t.steps) out.push(fold(`Steps on the way: ${t.steps.length}`, () => t.steps.map(step)));
    if (t.prompt) out.push(fold("Prompt", () => messages(t.prompt)));
    if (t.sent !== undefined) out.push(fold("Prompt as sent", () => el("pre", {}, shown(raw(t.sent)))));
    if (t.reply !== undefined) out.push(fold("Reply", () => el("pre", {}, shown(raw(t.reply)))));
    return out;
  }

  function line(t, task, cell) {
    const depth = (o, seen) => {
      const up = o.parents && task.tries.find((p) => p.n === o.parents[0]);
      return up && seen < 6 ? 1 + depth(up, seen + 1) : 0;
    };
    const speed = t.timing && t.timing.speedup[task.baseline];
    const from = t.parents ? ` of ${t.parents.map((p) => `#${p}`).join(", ")}` : "";
    const summary = el("summary", {}, el("span", { class: "no" }, `#${t.n}`), `${t.role}${from}`,
      el("span", { class: t.status === "verified" ? "ok" : "bad" }, t.status ? `${t.status} (${t.stage})` : "not judged yet"),
      t.dup !== undefined ? `same kernel as #${t.dup}` : null,
      t.n === task.chosen ? el("b", { class: "ok" }, "chosen") : null,
      speed ? plot(speed) : null, speed ? `${times(speed[0])}\u00d7 in search` : null,
      t.reason !== undefined && t.status !== "verified" ? el("q", { class: "evidence" }, shown(raw(t.reason))) : null);
    const node = el("details", { class: t.n === task.chosen ? "try chosen" : "try", "data-attempt": t.n,
      style: `margin-left:${depth(t, 0) * 1.1}rem` }, summary);
    node.addEventListener("toggle", () => {
      if (node.open && node.children.length === 1) node.append(...body(t, task, cell));
    });
    return node;
  }

  // One attempt: a disc for a draft, a square for what has a parent, a diamond for what was given; crosses failed.
  function mark(t, x, y, chosen) {
    if (t.status !== "verified") return svg("path", { class: "span down", d: `M${x - 3} ${y - 3}l6 6m0 -6l-6 6` });
    const kind = chosen ? "up" : "even", r = chosen ? 5 : 3.4;
    if (t.given) return svg("path", { class: kind, d: `M${x} ${y - r - 1}l${r + 1} ${r + 1}l${-r - 1} ${r + 1}l${-r - 1} ${-r - 1}z` });
    return t.parents ? svg("rect", { class: kind, x: x - r, y: y - r, width: 2 * r, height: 2 * r })
      : svg("circle", { class: kind, cx: x, cy: y, r });
  }

  // Attempts by ordinal and search speedup; failures stand on the bottom line; the green way leads to the winner.
  // Every mark is a link to its attempt.
  function lineage(task, place) {
    const wide = 720, tall = 170, last = Math.max(1, ...task.tries.map((t) => t.n));
    const speed = (t) => (t.timing && t.timing.speedup[task.baseline] ? t.timing.speedup[task.baseline][0] : null);
    const known = task.tries.map(speed).filter((s) => s !== null);
    if (!known.length) return null;
    const low = Math.log(Math.min(1, ...known)), high = Math.max(Math.log(Math.max(1.1, ...known)), low + 0.1);
    const px = (n) => 40 + (n / last) * (wide - 60);
    const py = (s) => (s === null ? tall - 26 : 12 + ((high - Math.log(s)) / (high - low)) * (tall - 62));
    const node = svg("svg", { class: "lineage", viewBox: `0 0 ${wide} ${tall}`, role: "group", "aria-label": "Search tree" });
    node.append(svg("title", {}, "Search speedup by attempt; failures on the bottom line"));
    for (const s of [...new Set([Math.exp(low), 1, Math.exp(high)])])
      node.append(svg("path", { class: s === 1 ? "rule" : "grid", d: `M36 ${py(s)}H${wide - 12}` }),
        svg("text", { class: "tick", x: 32, y: py(s) + 4, "text-anchor": "end" }, times(s)));
    const of = (n) => task.tries.find((t) => t.n === n);
    const way = new Set();
    for (let at = task.chosen; at !== undefined && at !== null && !way.has(at); at = (of(at)?.parents || [])[0]) way.add(at);
    for (const t of task.tries) for (const p of t.parents || []) {
      const up = of(p);
      if (up) node.append(svg("path", { class: way.has(t.n) && way.has(p) ? "way" : "edge", d: `M${px(p)} ${py(speed(up))}L${px(t.n)} ${py(speed(t))}` }));
    }
    for (const t of task.tries) {
      const s = speed(t), x = px(t.n), y = py(s);
      const said = `#${t.n} ${t.role}: ${t.status || "not judged yet"}${s === null ? "" : ` ${times(s)}x`}`;
      const link = svg("a", { href: place, "data-attempt": t.n, "aria-label": said });
      link.append(svg("title", {}, said), svg("circle", { class: "target", cx: x, cy: y, r: 9 }), mark(t, x, y, t.n === task.chosen));
      node.append(link);
    }
    node.append(svg("text", { class: "tick", x: 40, y: tall - 4 }, "attempt 0"),
      svg("text", { class: "tick", x: wide - 20, y: tall - 4, "text-anchor": "end" }, String(last)));
    return node;
  }

  function fill(node) {
    const slot = node.querySelector(":scope > .slot");
    if (slot.childNodes.length) return;
    const cell = data.cells[node.dataset.cell], task = cell.tasks[node.dataset.task];
    const picture = lineage(task, `#${node.id}`);
    if (picture) slot.append(picture, el("p", {}, el("small", {}, "Across: attempts in their order. Up: search speedup. Disc: draft; square: made from a parent; diamond: given; cross: failed, on the bottom line. The green way leads to the chosen kernel. Every mark opens its attempt.")));
    const page = 200;
    const more = (start) => {
      slot.append(...task.tries.slice(start, start + page).map((t) => line(t, task, cell)));
      if (start + page < task.tries.length) {
        const button = el("button", { type: "button" }, `${task.tries.length - start - page} more attempts`);
        button.addEventListener("click", () => { button.remove(); more(start + page); });
        slot.append(button);
      }
    };
    more(0);
    if (!task.tries.length) slot.append(el("p", {}, "No attempt yet."));
  }
  for (const node of document.querySelectorAll("details.task"))
    node.addEventListener("toggle", () => { if (node.open) fill(node); });

  function visit(node, attempt) {
    for (let up = node; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true;
    fill(node);
    const goal = attempt === undefined ? node : node.querySelector(`details[data-attempt="${attempt}"]`) || node;
    goal.open = true;
    goal.scrollIntoView();
    goal.querySelector("summary").focus();
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-attempt]");
    const node = link && document.querySelector(link.getAttribute("href"));
    if (!node) return;
    event.preventDefault();
    history.replaceState(null, "", `${link.getAttribute("href")}-${link.dataset.attempt}`);
    visit(node, link.dataset.attempt);
  });
  // #t-<cell>-<task> opens a task, #t-<cell>-<task>-<attempt> an attempt of it.
  const asked = /^#(t-\d+-\d+)(?:-(\d+))?$/.exec(location.hash);
  const there = asked && document.getElementById(asked[1]);
  if (there) visit(there, asked[2]);
})();
