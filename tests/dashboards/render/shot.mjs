// SPDX-License-Identifier: MIT
// node shot.mjs NODE_MODULES_PARENT URL OUT.png HEIGHT: opens the page in Chromium, waits for every
// query to be answered, takes a picture; exit 1 when a query or a variable failed.
import path from 'node:path';
import { createRequire } from 'node:module';

const [npm, url, out, height] = process.argv.slice(2);
const puppeteer = createRequire(path.resolve(npm, 'package.json'))('puppeteer-core');
const browser = await puppeteer.launch({ executablePath: '/usr/bin/chromium', headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--hide-scrollbars'] });
let failed = 0;
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: Number(height) });
  page.on('pageerror', (e) => console.log(`page: ${e.message}`.slice(0, 600)));
  page.on('console', (m) => { if (m.type() === 'error' && process.env.V) console.log(m.text().slice(0, 400)); });
  await page.goto(url);
  await page.waitForFunction(() => window.dashState?.errors.length ||
    (window.dashState?.panels && window.dashState.done >= window.dashState.queries && window.dashState.queries > 5),
    { timeout: 60000 });
  await new Promise((r) => setTimeout(r, 2500));
  const state = await page.evaluate(() => window.dashState);
  // A visualisation that broke says so in its panel only.
  const broken = await page.evaluate(() => [...document.querySelectorAll('details')].map((d) => d.textContent));
  for (const b of broken) { console.log(`  a panel broke: ${b.slice(0, 200)}`); failed = 1; }
  await page.screenshot({ path: out });
  console.log(`${out}: ${state.panels} panels, ${state.queries} queries, ${state.empty.length} without data, `
    + `not drawn: ${state.skipped.join(', ') || 'none'}`);
  for (const e of state.errors) { console.log(`  ${e}`); failed = 1; }
} finally {
  await browser.close();
}
process.exit(failed);
