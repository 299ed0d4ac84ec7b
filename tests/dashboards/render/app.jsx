// SPDX-License-Identifier: MIT
// Shows one of the dashboards with Grafana's own scenes, variables, grid and visualisations. What is
// not in Grafana's npm packages is a shim here: the importer, the Prometheus queries, the standard
// field options and the plugins round the visualisations. So it shows that panels come up with data
// and fit their places, not how a Grafana server would paint them.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { map, from, catchError, of } from 'rxjs';
import { BrowserRouter } from 'react-router-dom';
import {
  createTheme, FieldType, getDisplayProcessor, LoadingState, PanelPlugin,
  standardFieldConfigEditorRegistry, standardTransformers, standardTransformersRegistry,
  cacheFieldDisplayNames, EventBusSrv, toDataFrame, identityOverrideProcessor, reduceField,
} from '@grafana/data';
import { config, setRunRequest, setPluginImportUtils, setDataSourceSrv, setTemplateSrv, locationService,
  LocationServiceProvider } from '@grafana/runtime';
import {
  CustomVariable, EmbeddedScene, RuntimeDataSource, SceneControlsSpacer, SceneDataTransformer,
  SceneGridItem, SceneGridLayout, SceneGridRow, SceneQueryRunner, SceneTimePicker, SceneTimeRange,
  SceneVariableSet, VariableValueSelectors, VizPanel, sceneUtils,
} from '@grafana/scenes';
import { BigValue, BigValueColorMode, BigValueGraphMode, BigValueJustifyMode, BigValueTextMode, PanelContextProvider,
  TimeSeries } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { initPluginTranslations } from '@grafana/i18n';

const args = new URLSearchParams(location.search);
const prometheus = args.get('prometheus');
const state = (window.dashState = { errors: [], empty: [], skipped: [], queries: 0, done: 0 });
const theme = createTheme({ colors: { mode: 'dark' } });
config.theme2 = theme;

// ---- standard field options (Grafana's own are in its server's front end) ------------------

const option = (id, path = id) => ({
  id, path, name: id, description: '', editor: () => null, override: () => null,
  process: identityOverrideProcessor, shouldApply: () => true, settings: {},
});
standardFieldConfigEditorRegistry.setInit(() => ['unit', 'min', 'max', 'decimals', 'displayName',
  'noValue', 'color', 'mappings', 'thresholds', 'links', 'filterable'].map((id) => option(id)));
standardTransformersRegistry.setInit(() => [...new Map(Object.values(standardTransformers)
  .filter((t) => t && t.id).map((t) => [t.id, t])).values()].map((t) => ({ id: t.id, name: t.name, transformation: async () => t, editor: () => null })));

// ---- queries -------------------------------------------------------------------------------

async function api(path, params) {
  const r = await fetch(`${prometheus}/api/v1/${path}?${new URLSearchParams(params)}`);
  const j = await r.json();
  if (j.status !== 'success') throw new Error(j.error);
  return j.data;
}

const legend = (format, labels) => !format || format === '__auto'
  ? Object.values(labels).join(' ') || 'value'
  : format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, k) => labels[k] ?? '');

function toFrames(query, result, tables, step) {
  const number = (s) => s === 'NaN' ? null : Number(s);
  if (query.format === 'table') {
    const names = [...new Set(result.flatMap((r) => Object.keys(r.metric)))];
    const value = tables > 1 ? `Value #${query.refId}` : 'Value';
    return [toDataFrame({ refId: query.refId, fields: [
      { name: 'Time', type: FieldType.time, values: result.map((r) => r.value[0] * 1000) },
      ...names.map((n) => ({ name: n, type: FieldType.string, values: result.map((r) => r.metric[n] ?? '') })),
      { name: value, type: FieldType.number, values: result.map((r) => number(r.value[1])) },
    ] })];
  }
  return result.map((r) => {
    const points = r.values ?? [r.value];
    return toDataFrame({ refId: query.refId, name: legend(query.legendFormat, r.metric), fields: [
      // As Grafana's Prometheus source does: where a step has no point, the line is broken.
      { name: 'Time', type: FieldType.time, values: points.map((p) => p[0] * 1000), config: { interval: step * 1000 } },
      { name: 'Value', type: FieldType.number, labels: r.metric, values: points.map((p) => number(p[1])),
        config: { displayNameFromDS: legend(query.legendFormat, r.metric) } },
    ] });
  });
}

class Prometheus extends RuntimeDataSource {
  query(request) {
    const tables = request.targets.filter((t) => t.format === 'table').length;
    const one = async (t) => {
      const span = Math.round((request.range.to.valueOf() - request.range.from.valueOf()) / 1000);
      const expr = sceneUtils && request.scopedVars.__sceneObject
        ? window.interpolate(request.scopedVars.__sceneObject.value.valueOf(), t.expr) : t.expr;
      const step = Math.max(1, Math.round(span / 300));
      const text = expr.replaceAll('$__rate_interval', '8s').replaceAll('$__interval', `${step}s`)
        .replaceAll('$__range', `${span}s`);
      const end = Math.floor(request.range.to.valueOf() / 1000 / step) * step;
      state.queries++;
      try {
        const data = t.instant
          ? await api('query', { query: text, time: end })
          : await api('query_range', { query: text, start: end - span, end, step });
        if (!data.result.length) state.empty.push(text);
        return toFrames(t, data.result, tables, step);
      } catch (e) {
        state.errors.push(`${e.message}: ${text}`);
        return [];
      } finally {
        state.done++;
      }
    };
    return from(Promise.all(request.targets.map(one))).pipe(
      map((frames) => ({ data: frames.flat(), state: LoadingState.Done })));
  }
  testDatasource() { return Promise.resolve({}); }
}
const source = new Prometheus('prometheus-live', 'prometheus-live');
sceneUtils.registerRuntimeDataSource({ dataSource: source });
setDataSourceSrv({ get: async () => source, getInstanceSettings: () => ({ uid: 'prometheus-live', type: 'prometheus-live', meta: {} }), getList: () => [] });
setPluginImportUtils({ importPanelPlugin: async () => undefined, getPanelPluginFromCache: () => undefined });
setTemplateSrv({ getVariables: () => [], replace: (s) => s ?? '', containsTemplate: () => false, updateTimeRange() {} });
setRunRequest((ds, request) => ds.query(request).pipe(
  map((r) => ({ state: LoadingState.Done, series: r.data, timeRange: request.range, request })),
  catchError((e) => { state.errors.push(String(e)); return of({ state: LoadingState.Error, series: [], timeRange: request.range }); })));

// ---- visualisations ------------------------------------------------------------------------

const custom = { useCustomConfig(b) {
  for (const [path, value] of Object.entries({ drawStyle: 'line', lineInterpolation: 'linear', lineWidth: 1,
    fillOpacity: 0, showPoints: 'auto', spanNulls: false, stacking: { mode: 'none', group: 'A' },
    scaleDistribution: { type: 'linear' }, thresholdsStyle: { mode: 'off' }, axisPlacement: 'auto',
    hideFrom: { legend: false, tooltip: false, viz: false }, barAlignment: 0, barWidthFactor: 0.6 }))
    b.addCustomEditor({ id: path, path, name: path, editor: () => null, override: () => null,
      process: identityOverrideProcessor, shouldApply: () => true, defaultValue: value, settings: {} });
} };

const cells = { useCustomConfig(b) {
  for (const [path, value] of Object.entries({ cellOptions: { type: 'auto' }, align: 'auto', width: undefined,
    minWidth: 100, filterable: false }))
    b.addCustomEditor({ id: path, path, name: path, editor: () => null, override: () => null,
      process: identityOverrideProcessor, shouldApply: () => true, defaultValue: value, settings: {} });
} };

const bus = new EventBusSrv();

function Lines({ data, width, height, options, timeRange, timeZone }) {
  return <PanelContextProvider value={{ eventBus: bus, eventsScope: 'panel' }}><TimeSeries frames={data.series} width={width} height={height} timeRange={timeRange}
    timeZone={timeZone} legend={options.legend ?? { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] }} options={options} /></PanelContextProvider>;
}

function Stat({ data, width, height, options }) {
  const field = data.series.flatMap((f) => f.fields).find((f) => f.type === FieldType.number);
  const value = field ? reduceField({ field, reducers: ['lastNotNull'] }).lastNotNull : null;
  const shown = field ? (field.display ?? getDisplayProcessor({ field, theme }))(value) : { text: 'no data', numeric: NaN };
  return <BigValue value={shown} width={width} height={height} theme={theme}
    colorMode={options.colorMode === 'background' ? BigValueColorMode.Background : BigValueColorMode.Value}
    graphMode={BigValueGraphMode.None} justifyMode={BigValueJustifyMode.Center} textMode={BigValueTextMode.Value} />;
}

function TablePanel({ data, width, height, options }) {
  const frame = data.series[0];
  data.series.forEach((f) => f.fields.forEach((x) => { x.state = { ...x.state, displayName: undefined }; }));
  cacheFieldDisplayNames(data.series);
  return frame?.length ? <TableNG data={frame} width={width} height={height} cellHeight={options.cellHeight} initialSortBy={options.sortBy} /> : <div>no rows</div>;
}

const Missing = (what) => () => <div style={{ padding: 12, opacity: 0.7 }}>
  {what} is part of the Grafana server, which was not available: not drawn here.</div>;

for (const [id, component, field] of [
  ['timeseries', Lines, custom], ['stat', Stat, {}], ['table', TablePanel, cells],
  ['heatmap', Missing('The heat map'), custom], ['state-timeline', Missing('The state time line'), custom]])
  sceneUtils.registerRuntimePanelPlugin({ pluginId: `live-${id}`, plugin: new PanelPlugin(component).useFieldConfig(field) });

// ---- importer ------------------------------------------------------------------------------

async function main() {
  await initPluginTranslations('grafana').catch((e) => console.error(e));
  const board = await (await fetch(args.get('dash'))).json();
  const variables = [];
  const chosen = {};
  for (const v of board.templating.list.filter((x) => x.type === 'query')) {
    const [, metric, label] = v.definition.match(/label_values\((.*), (\w+)\)$/);
    const values = await api(`label/${label}/values`, { 'match[]': metric.replace(/\$(\w+)/g, (_, n) => chosen[n]) });
    if (!values.length) state.errors.push(`variable ${v.name} has no values`);
    const want = args.get(`var-${v.name}`) ?? values[0];
    chosen[v.name] = v.multi ? v.allValue : want;
    variables.push(new CustomVariable({ name: v.name, label: v.label, query: values.join(','), isMulti: v.multi,
      includeAll: v.multi, hide: v.hide ?? 0, allValue: v.allValue, value: v.multi ? ['$__all'] : want, text: v.multi ? ['All'] : want }));
  }
  const { sceneGraph } = await import('@grafana/scenes');
  window.interpolate = (object, expr) => sceneGraph.interpolate(object, expr, undefined, (value) =>
    Array.isArray(value) ? `(${value.join('|')})` : String(value));
  const grid = [];
  for (const p of board.panels) {
    const at = { x: p.gridPos.x, y: p.gridPos.y, width: p.gridPos.w, height: p.gridPos.h };
    if (p.type === 'row') {
      grid.push(new SceneGridRow({ title: p.title, x: 0, y: at.y, isCollapsed: false, children: [] }));
      continue;
    }
    if (['heatmap', 'state-timeline'].includes(p.type)) state.skipped.push(p.title);
    const runner = new SceneQueryRunner({ datasource: { uid: 'prometheus-live', type: 'prometheus-live' },
      queries: p.targets.map(({ datasource, ...t }) => t) });
    grid.push(new SceneGridItem({ ...at, body: new VizPanel({ title: p.title, description: p.description,
      pluginId: `live-${p.type}`, options: p.options, fieldConfig: p.fieldConfig,
      $data: p.transformations ? new SceneDataTransformer({ $data: runner, transformations: p.transformations }) : runner }) }));
  }
  const scene = new EmbeddedScene({
    $timeRange: new SceneTimeRange({ from: args.get('from') ?? board.time.from, to: 'now' }),
    $variables: new SceneVariableSet({ variables }),
    controls: [new VariableValueSelectors({}), new SceneControlsSpacer(), new SceneTimePicker({})],
    body: new SceneGridLayout({ children: grid }),
  });
  createRoot(document.getElementById('root')).render(
    <LocationServiceProvider service={locationService}><BrowserRouter><scene.Component model={scene} /></BrowserRouter></LocationServiceProvider>);
  state.panels = grid.length;
}
main().catch((e) => { state.errors.push(String(e.stack)); });
