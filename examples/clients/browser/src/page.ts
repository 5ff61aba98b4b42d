// SPDX-License-Identifier: BSD-3-Clause

/** The page: what is in a repository, and what is in its datasets. */

import { type Artifact, Butler } from "./butler.js";
import { problemOf } from "./errors.js";
import type { Row } from "./values.js";

const PAGE_ROWS = 20;
/** What is longer is only offered for download. */
const SHOWN_BYTES = 1 << 20;
const PNG = [0x89, 0x50, 0x4e, 0x47];

let butler: Butler | undefined;
let pages: AsyncGenerator<Row[]> | undefined;
let links: string[] = [];
/** Counts what was chosen to be shown. */
let showing = 0;

function element<Kind extends HTMLElement>(selector: string, kind: new () => Kind): Kind {
  const found = document.querySelector(selector);
  if (!(found instanceof kind)) {
    throw new Error(`the page has no ${selector}`);
  }
  return found;
}

const connectForm = element("#connect", HTMLFormElement);
const findForm = element("#find", HTMLFormElement);
const problem = element("#problem", HTMLParagraphElement);
const table = element("table", HTMLTableElement);
const more = element("#more", HTMLButtonElement);
const state = element("#state", HTMLSpanElement);
const content = element("#content", HTMLElement);

/** Makes an element with a text, which is never read as HTML. */
function made<Name extends keyof HTMLElementTagNameMap>(name: Name, text = ""): HTMLElementTagNameMap[Name] {
  const found = document.createElement(name);
  found.textContent = text;
  return found;
}

/** Does something of the user's, and shows what went wrong. */
async function tried(work: () => Promise<void>): Promise<void> {
  problem.hidden = true;
  try {
    await work();
  } catch (thrown) {
    const { code, reason, message } = problemOf(thrown);
    problem.replaceChildren(made("strong", reason || code), document.createTextNode(` ${message}`));
    problem.hidden = false;
    state.textContent = "";
  }
}

function field(form: HTMLFormElement, name: string): string {
  return String(new FormData(form).get(name) ?? "").trim();
}

function choices(select: string, names: string[]): void {
  element(select, HTMLSelectElement).replaceChildren(...names.map((name) => made("option", name)));
}

async function connect(): Promise<void> {
  findForm.hidden = true;
  clear();
  const token = field(connectForm, "token");
  const opened = new Butler(field(connectForm, "address"), field(connectForm, "repository"), () => token);
  await opened.connect();
  const [collections, types] = await Promise.all([opened.collections(), opened.datasetTypes()]);
  choices("#find [name=collection]", collections.map(({ name }) => name));
  choices("#find [name=type]", types.map(({ name }) => name));
  butler = opened;
  findForm.hidden = false;
  state.textContent = `${collections.length} collections, ${types.length} dataset types`;
}

function clear(): void {
  pages = undefined;
  table.hidden = true;
  more.hidden = true;
  table.tHead?.replaceChildren();
  table.tBodies[0]?.replaceChildren();
  showNothing();
}

async function find(): Promise<void> {
  clear();
  pages = butler?.pages({
    datasetType: field(findForm, "type"),
    collections: [field(findForm, "collection")],
    where: field(findForm, "where"),
    pageSize: PAGE_ROWS,
  });
  await showPage();
}

async function showPage(): Promise<void> {
  const asked = pages;
  more.disabled = true;
  const { value: rows, done } = (await asked?.next()) ?? { value: undefined, done: true };
  if (asked !== pages) {
    return; // Something else was asked meanwhile.
  }
  more.disabled = false;
  more.hidden = Boolean(done) || rows === undefined || rows.length < PAGE_ROWS;
  const body = table.tBodies[0];
  const [first] = rows ?? [];
  if (first !== undefined && table.tHead?.rows.length === 0) {
    const head = made("tr");
    head.append(...Object.keys(first).map((name) => made("th", name)));
    table.tHead.append(head);
    table.hidden = false;
  }
  body?.append(...(rows ?? []).map(lineOf));
  state.textContent = `datasets: ${body?.rows.length ?? 0}`;
}

function lineOf(row: Row): HTMLTableRowElement {
  const line = made("tr");
  line.append(...Object.values(row).map((value) => made("td", value === null ? "" : String(value))));
  line.addEventListener("click", () => {
    for (const other of table.querySelectorAll(".chosen")) {
      other.classList.remove("chosen");
    }
    line.classList.add("chosen");
    void tried(() => showDataset(String(row["id"])));
  });
  return line;
}

function showNothing(): void {
  showing++;
  links.forEach((link) => URL.revokeObjectURL(link));
  links = [];
  content.replaceChildren();
}

async function showDataset(id: string): Promise<void> {
  showNothing();
  const asked = ++showing;
  const artifacts = (await butler?.artifacts(id)) ?? [];
  if (asked !== showing) {
    return; // Something else was chosen meanwhile.
  }
  if (artifacts.length === 0) {
    content.append(made("p", "Nothing is stored of it."));
  }
  for (const artifact of artifacts) {
    const line = content.appendChild(made("p", "…"));
    const bytes = await butler!.read(artifact, (length) => {
      line.textContent = `${length} of ${artifact.record?.size} bytes`;
    });
    if (asked !== showing) {
      return;
    }
    line.replaceChildren(download(artifact, bytes, id), made("br"), note(artifact));
    content.append(...shown(artifact, bytes));
  }
}

function note(artifact: Artifact): HTMLSpanElement {
  const { size, checksum, layout } = artifact.record ?? {};
  const found = made("span", `${size} bytes of ${layout?.storageClass} as ${layout?.formatter}, ${checksum} is right`);
  found.className = "quiet";
  return found;
}

function download(artifact: Artifact, bytes: Uint8Array<ArrayBuffer>, id: string): HTMLAnchorElement {
  const link = made("a", "Download");
  // Never as a page of this origin, whatever it says that it is.
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  link.download = artifact.record?.key.split("/").pop() ?? id;
  links.push(link.href);
  return link;
}

/** Returns what can be seen of an artifact: a picture, or text. */
function shown(artifact: Artifact, bytes: Uint8Array<ArrayBuffer>): HTMLElement[] {
  if (PNG.every((byte, i) => bytes[i] === byte)) {
    const picture = made("img");
    picture.src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    links.push(picture.src);
    return [picture];
  }
  if (bytes.length > SHOWN_BYTES) {
    return [];
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const json = artifact.record?.layout?.formatter === "json";
    return [made("pre", json ? JSON.stringify(JSON.parse(text), undefined, 2) : text)];
  } catch {
    return []; // Neither text nor a picture.
  }
}

connectForm.addEventListener("submit", (event) => {
  event.preventDefault();
  void tried(connect);
});
findForm.addEventListener("submit", (event) => {
  event.preventDefault();
  void tried(find);
});
more.addEventListener("click", () => void tried(showPage));
for (const [name, value] of new URLSearchParams(location.search)) {
  // Never the token: addresses are kept and passed on.
  const input = connectForm.elements.namedItem(name);
  if (input instanceof HTMLInputElement && name !== "token") {
    input.value = value;
  }
}
