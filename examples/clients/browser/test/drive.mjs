// SPDX-License-Identifier: BSD-3-Clause

/** Uses the page in Chromium as somebody would: node test/drive.mjs CHROMIUM PAGE ADDRESS REPOSITORY SCREENSHOT */

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

const [executablePath, page, address, repository, screenshot] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath,
  // It runs as whoever runs the tests, in a container perhaps, and has nobody to talk to but the page's servers.
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"],
});
try {
  const tab = await browser.newPage({ viewport: { width: 1000, height: 700 } });
  const faults = [];
  tab.on("pageerror", (error) => faults.push(error.message));
  await tab.goto(`${page}/?address=${address}`);
  await tab.fill("[name=repository]", "elsewhere");
  await tab.click("#connect button");
  await tab.waitForSelector("#problem:not([hidden])");
  assert.match(await tab.textContent("#problem"), /^REPOSITORY_NOT_FOUND /);

  await tab.fill("[name=repository]", repository);
  await tab.click("#connect button");
  await tab.waitForSelector("#find:not([hidden])");
  await tab.selectOption("[name=type]", "note");
  await tab.click("#find button");
  await tab.waitForFunction(() => document.querySelectorAll("tbody tr").length === 20);
  await tab.click("#more");
  await tab.waitForFunction(() => document.querySelectorAll("tbody tr").length === 25);
  await tab.click("tbody tr:nth-child(3)");
  await tab.waitForSelector("#content pre");
  assert.equal(JSON.parse(await tab.textContent("#content pre")).detector, 3);

  await tab.fill("[name=where]", "detector =");
  await tab.click("#find button");
  await tab.waitForSelector("#problem:not([hidden])");
  assert.match(await tab.textContent("#problem"), /^EXPRESSION_SYNTAX /);

  await tab.selectOption("[name=type]", "preview");
  await tab.fill("[name=where]", "instrument = 'Cam1' AND detector.raft = 'A'");
  await tab.click("#find button");
  await tab.click("tbody tr:nth-child(2)");
  await tab.waitForFunction(() => document.querySelector("#content img")?.naturalWidth === 320);
  assert.match(await tab.textContent("#content"), /sha256:[0-9a-f]{64} is right/);
  assert.deepEqual(faults, []);
  await tab.screenshot({ path: screenshot });
} finally {
  await browser.close();
}
