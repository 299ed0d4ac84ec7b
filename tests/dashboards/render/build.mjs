// SPDX-License-Identifier: MIT
// Bundles the page: node build.mjs NODE_MODULES_PARENT OUT_DIR
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const [npm, out] = process.argv.slice(2).map((p) => path.resolve(p));
const require = createRequire(path.join(npm, 'package.json'));
const { build } = require('esbuild');
const here = path.dirname(new URL(import.meta.url).pathname);
fs.mkdirSync(out, { recursive: true });
// Dependencies that are not served and only needed by parts that are not used.
fs.writeFileSync(path.join(out, 'stub.js'), 'export const useAssistant=()=>({});export const createAssistantContextItem=()=>({});export const providePageContext=()=>(()=>{});export const provideQuestions=()=>(()=>{});export const OpenAssistantButton=()=>null;export default {};');
await build({
  entryPoints: [path.join(here, 'app.jsx')], bundle: true, outfile: path.join(out, 'app.js'), format: 'esm',
  jsx: 'automatic', define: { 'process.env.NODE_ENV': '"production"', global: 'window' }, logLevel: 'error',
  nodePaths: [path.join(npm, 'node_modules')],
  loader: { '.svg': 'text', '.woff2': 'empty', '.ttf': 'empty', '.png': 'dataurl' },
  alias: { '@grafana/assistant': path.join(out, 'stub.js'), 'react-router-dom-v5-compat': 'react-router-dom' },
});
const css = ['react-grid-layout/css/styles.css', 'react-resizable/css/styles.css', 'uplot/dist/uPlot.min.css', '@grafana/react-data-grid/lib/styles.css'];
fs.writeFileSync(path.join(out, 'main.css'), css.map((c) => path.join(npm, 'node_modules', c))
  .filter((c) => fs.existsSync(c)).map((c) => fs.readFileSync(c, 'utf8')).join('\n')
  + '\nbody{background:#111217;color:#ccccdc;font-family:"DejaVu Sans",sans-serif;margin:0;font-size:14px}#root{padding:8px;min-height:100vh;display:flex;flex-direction:column}*{box-sizing:border-box}h1,h2,h3,h6{margin:0;font-size:14px;font-weight:500}button{background:none;border:0;color:inherit}');
fs.writeFileSync(path.join(out, 'index.html'), '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="main.css"><div id="root"></div><script type="module" src="app.js"></script>');
