// Cuts what does not fit on one slide into several, then starts reveal.js.
(() => {
  const WIDTH = 1280, HEIGHT = 720, MARGIN = 0.03;
  const ROOM = 640;      // height for the blocks of a slide, the footer left free
  const LINES = 28;      // of code or output on one slide
  const CONTINUED = 50;  // height of the line on top of a slide's continuation
  const SQUEEZE = 0.8;   // shrink a block to this rather than begin another slide for it
  const SMALLEST = 0.65; // smaller cannot be read from the last row: then the block scrolls

  // Where line number `count` (from 0) begins in an element, as a text node and an offset.
  function beginOfLine(element, count) {
    const texts = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    for (let left = count; texts.nextNode();) {
      const ends = [...texts.currentNode.data.matchAll(/\n/g)];
      if (left <= ends.length) return [texts.currentNode, ends[left - 1].index + 1];
      left -= ends.length;
    }
  }

  // A cell with more lines than can be read on one slide, as several cells of equal length.
  function byLines(cell) {
    const pres = cell.querySelectorAll("pre");
    const lines = pres.length === 1 ? pres[0].textContent.trimEnd().split("\n").length : 0;
    const count = Math.ceil(lines / LINES);
    const cells = [cell];
    for (let part = count - 1; part > 0; part -= 1) {
      const rest = document.createRange();
      rest.selectNodeContents(pres[0]);
      rest.setStart(...beginOfLine(pres[0], part * Math.ceil(lines / count)));
      const content = rest.extractContents();
      const next = cell.cloneNode(true);
      next.removeAttribute("id");
      next.querySelector("pre").replaceChildren(content);
      cell.after(next);
      cells.splice(1, 0, next);
    }
    return cells;
  }

  // Output comes a step after its code, so that there is time for a prediction.
  function blocksOf(section) {
    const blocks = [];
    let step = 0;
    const add = cell => byLines(cell).forEach(element => blocks.push({ element, step }));
    const addCell = cell => {
      const output = cell.querySelector(":scope > .jp-Cell-outputWrapper");
      output?.remove();
      add(cell);
      if (!output) return;
      const shell = cell.cloneNode(false);
      shell.removeAttribute("id");
      shell.append(output);
      blocks.at(-1).element.after(shell);
      step += 1;
      add(shell);
    };
    for (const child of [...section.children]) {
      if (!child.matches(".fragment")) {
        if (child.matches(".jp-Cell")) addCell(child);
        continue;
      }
      step += 1;
      const parts = [...child.children];
      child.replaceWith(...parts);
      parts.filter(part => part.matches(".jp-Cell")).forEach(addCell);
    }
    return blocks;
  }

  const pictureHeights = new Map();

  function measure(block) {
    const picture = block.element.querySelector("img");
    if (picture) pictureHeights.set(picture, picture.getBoundingClientRect().height);
    const box = block.element.getBoundingClientRect();
    block.height = box.height;
    const wide = [...block.element.querySelectorAll("pre, table, .jp-OutputArea-output")];
    const width = Math.max(block.element.scrollWidth, ...wide.map(part => part.scrollWidth));
    block.fit = Math.min(1, box.width / width);
    block.height *= block.fit;
  }

  // Fills slides from the top; each page is a list of blocks.
  function paginate(blocks) {
    const pages = [[]];
    let left = ROOM;
    for (const block of blocks) {
      const page = pages.at(-1);
      if (page.length && block.height * SQUEEZE > left) {
        pages.push([block]);
        left = ROOM - CONTINUED;
      } else {
        page.push(block);
      }
      if (block.height > left) {
        block.scale = Math.max(left / block.height, SMALLEST);
        block.scrollHeight = left;
      }
      left -= block.height * (block.scale ?? 1);
    }
    return pages;
  }

  function resize({ element, fit, scale = 1, scrollHeight, height }) {
    const picture = element.querySelector("img");
    if (picture && scale < 1) {
      // Zoomed out, it would grow to the width that it gains.
      picture.style.maxHeight = `${pictureHeights.get(picture) - height * (1 - scale)}px`;
      return;
    }
    const zoom = Math.max(fit * scale, SMALLEST);
    if (zoom < 1) element.style.zoom = zoom;
    if (fit < SMALLEST || (scrollHeight && height * scale > scrollHeight + 1)) {
      element.classList.add("scrolls");
      if (scrollHeight) element.style.maxHeight = `${scrollHeight / zoom}px`;
    }
  }

  function fill(section, page) {
    const seen = page[0]?.step;
    for (const block of page) {
      resize(block);
      if (block.step > seen) {
        block.element.classList.add("fragment");
        block.element.dataset.fragmentIndex = block.step;
      }
      section.append(block.element);
    }
  }

  function cut(section, blocks) {
    const title = section.querySelector("h1, h2, h3")?.textContent ?? "";
    const notes = [...section.querySelectorAll("aside.notes")];
    const pages = paginate(blocks);
    let last = section;
    pages.forEach((page, index) => {
      if (!index) return fill(section, page);
      const next = section.cloneNode(false);
      const line = document.createElement("p");
      line.className = "continued";
      line.textContent = `${title} (${index + 1} of ${pages.length})`;
      next.append(line);
      fill(next, page);
      next.append(...notes.map(note => note.cloneNode(true)));
      last.after(next);
      last = next;
    });
  }

  function footer(slide) {
    if (!slide) return [""];  // reveal.js asks once before it shows the first slide
    const slides = [...slide.parentElement.children].filter(part => part.matches("section"));
    return [`${slide.dataset.chapter} · ${slides.indexOf(slide) + 1} of ${slides.length}`];
  }

  async function start() {
    await Promise.allSettled([...document.images].map(image => image.decode()));
    const sections = [...document.querySelectorAll(".slides > section > section")];
    const work = sections.map(section => [section, blocksOf(section)]);
    work.forEach(([, blocks]) => blocks.forEach(measure));
    work.forEach(([section, blocks]) => cut(section, blocks));
    document.documentElement.classList.remove("measuring");
    await Reveal.initialize({
      width: WIDTH, height: HEIGHT, margin: MARGIN, center: false, hash: true,
      transition: "none", slideNumber: footer, pdfSeparateFragments: false,
      plugins: [RevealNotes],
    });
  }

  start();
})();
