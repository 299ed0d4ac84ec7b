// SPDX-License-Identifier: MIT
// Validates classic Grafana dashboards against JSON schemas made from @grafana/schema's types:
// the dashboard as a whole, and each panel's options and custom field config by its type.
//   node validate.mjs NODE_MODULES_DIR DASHBOARD.json…      exit 1 and one line per complaint
// With --mutate it damages each dashboard in ways that must be caught, and fails when one is not.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const mutate = process.argv.includes('--mutate');
const [npm, ...files] = process.argv.slice(2).filter((a) => a !== '--mutate');
const require = createRequire(path.resolve(npm, 'package.json'));
const { createGenerator } = require('ts-json-schema-generator');
const Ajv = require('ajv');
const types = path.resolve(npm, 'node_modules/@grafana/schema/dist/types/raw');

// Some defaults are filled in by Grafana, so nothing is required of a panel's options.
function withoutRequired(s) {
  if (Array.isArray(s)) return s.map(withoutRequired);
  if (s && typeof s === 'object')
    return Object.fromEntries(
      Object.entries(s).filter(([k, v]) => !(k === 'required' && Array.isArray(v)))
        .map(([k, v]) => [k, withoutRequired(v)]));
  return s;
}

const cache = path.resolve(npm, 'schemas');
fs.mkdirSync(cache, { recursive: true });
function schema(file, type, loose) {
  const key = path.join(cache, `${path.basename(path.resolve(file, '../../..'))}-${type}.json`);
  if (!fs.existsSync(key)) {
    const made = createGenerator({ path: file, type, skipTypeCheck: true, topRef: false,
      tsconfig: undefined, additionalProperties: false }).createSchema(type);
    fs.writeFileSync(key, JSON.stringify(made));
  }
  const s = JSON.parse(fs.readFileSync(key));
  return loose ? withoutRequired(s) : s;
}

const ajv = new Ajv({ strict: false, allErrors: true, allowUnionTypes: true });
const board = schema(path.join(types, 'dashboard/x/types.gen.d.ts'), 'Dashboard', true);
const variable = board.definitions?.VariableModel?.properties;
if (variable) variable.definition = { type: 'string' }; // Grafana writes it, the type lacks it
const validateBoard = ajv.compile(board);
const validators = new Map();

function validator(panelType, what) {
  const key = `${panelType} ${what}`;
  if (!validators.has(key)) {
    const file = path.join(types, 'composable', panelType.replace('-', ''),
      'panelcfg/x/types.gen.d.ts');
    if (!fs.existsSync(file)) return null;
    const has = new RegExp(`export (interface|type) ${what}\\b|export interface ${what} `)
      .test(fs.readFileSync(file, 'utf8'));
    validators.set(key, has ? ajv.compile(schema(file, what, true)) : null);
  }
  return validators.get(key);
}

// What Prometheus annotations carry beside the common fields (Grafana's own prometheus plugin).
const annotationExtras = ['expr', 'step', 'titleFormat', 'textFormat', 'tagKeys', 'useValueForTime'];

function complaints(dashboard) {
  const d = structuredClone(dashboard);
  const out = [];
  for (const a of d.annotations?.list ?? []) for (const k of annotationExtras) delete a[k];
  const say = (where, errors) => {
    for (const e of errors ?? [])
      out.push(`${where}${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`);
  };
  // Rows and panels are an anyOf: judged apart, or each row is told of all a panel may have.
  const panels = d.panels ?? [];
  if (!validateBoard({ ...d, panels: [] })) say('', validateBoard.errors);
  const ids = new Set();
  for (const p of panels) {
    const where = `panel "${p.title}"`;
    if (ids.has(p.id)) out.push(`${where}: id ${p.id} twice`);
    ids.add(p.id);
    if (!validateBoard({ ...d, panels: [p] }))
      say(where, validateBoard.errors.filter((e) => e.keyword !== 'anyOf').slice(0, 5));
    if (p.type === 'row') continue;
    const options = validator(p.type, 'Options');
    if (!options) out.push(`${where}: unknown panel type ${p.type}`);
    else if (!options(p.options ?? {})) say(`${where} options`, options.errors);
    const custom = validator(p.type, 'FieldConfig');
    const c = p.fieldConfig?.defaults?.custom;
    if (c && custom && !custom(c)) say(`${where} custom`, custom.errors);
    if (c && !custom) out.push(`${where}: ${p.type} has no custom field config`);
  }
  return out;
}

const mutations = {
  'an unknown key of a panel': (d) => { d.panels[0].tooltipp = 1; },
  'a number as title': (d) => { d.panels[0].title = 7; },
  'a grid position as text': (d) => { d.panels[0].gridPos.w = 'wide'; },
  'an unknown variable type': (d) => { d.templating.list[1].type = 'querry'; },
  'an unknown panel type': (d) => { d.panels[0].type = 'statt'; },
  'an unknown colour mode': (d) => {
    d.panels.find((p) => p.type === 'stat').options.colorMode = 'backgroundd';
  },
  'an unknown option of a time series': (d) => {
    d.panels.find((p) => p.type === 'timeseries').fieldConfig.defaults.custom.fillOpcity = 1;
  },
  'an unknown tooltip mode': (d) => {
    d.panels.find((p) => p.type === 'timeseries').options.tooltip.mode = 'all';
  },
};

let failed = 0;
for (const file of files) {
  const d = JSON.parse(fs.readFileSync(file));
  for (const c of complaints(d)) { console.log(`${file}: ${c}`); failed = 1; }
  if (!mutate) continue;
  for (const [name, damage] of Object.entries(mutations)) {
    const m = structuredClone(d);
    damage(m);
    if (!complaints(m).length) { console.log(`${file}: not caught: ${name}`); failed = 1; }
  }
}
process.exit(failed);
