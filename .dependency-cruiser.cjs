// The order of the rooms, as docs/ARCHITECTURE.md has it:
// support < {spec, protocol} < {snapshot, rpc, registry, observe, fork} < {runtime, sandbox, metering, plugin-sidecar}
//   < scheduler < trigger < ingress < {gateway, oneapi, migrate, console} < entry < {agent, app, cli}
// A room imports only rooms to its left, and rooms that share braces do not import each other. Types count, too.
'use strict';

/** Left to right; `config`, `index` and `app/extend` stand where their own imports put them. */
const ORDER = [
  ['support'],
  ['spec', 'protocol'],
  ['snapshot', 'rpc', 'registry', 'observe', 'fork'],
  ['runtime', 'sandbox', 'metering', 'plugin-sidecar'],
  ['scheduler'],
  ['trigger'],
  ['ingress'],
  ['gateway', 'oneapi', 'migrate', 'console'],
  ['entry'],
  ['agent', 'app', 'cli', 'koa', 'fork-api'],
];

const PATHS = {
  'plugin-sidecar': '^plugin-sidecar/',
  agent: '^agent\\.ts$',
  app: '^app(\\.ts$|/)',
  cli: '^(lib/cli|bin)/',
  koa: '^koa\\.ts$',
  'fork-api': '^fork\\.ts$',
};
const pathOf = (room) => PATHS[room] ?? `^lib/${room}/`;

const roomRules = ORDER.flatMap((rooms, index) => rooms.map((room) => ({
  name: `room-${room}`,
  comment: `${room} imports only rooms to its left in the order of docs/ARCHITECTURE.md.`,
  severity: 'error',
  from: { path: pathOf(room) },
  // lib/protocol's messages carry specs, whose types are the words of both.
  to: { path: [...rooms.filter((other) => other !== room), ...ORDER.slice(index + 1).flat()].map(pathOf), ...(room === 'protocol' ? { pathNot: '^lib/spec/types\\.ts$' } : {}) },
})));

module.exports = {
  forbidden: [
    ...roomRules,
    {
      name: 'no-cycles',
      comment: 'A cycle of modules hides which of them comes first. Cycles of types alone have no first.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-egg',
      comment: 'The application decides which Egg it runs on: the plugin imports types of it only.',
      severity: 'error',
      from: { path: '^(lib|app|config|bin|plugin-sidecar)/|^(index|koa|fork|agent|app)\\.ts$' },
      to: { path: '(^|/)node_modules/egg/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'small-runtime',
      comment: 'The runtime is multiplied by the number of instances.',
      severity: 'error',
      from: { path: '^lib/runtime/' },
      to: { path: '(^|/)node_modules/(egg|undici|valibot|find-my-way|es-module-lexer|cjs-module-lexer)/' },
    },
    {
      name: 'not-to-tests',
      comment: 'Nothing that is shipped imports tests, benchmarks or scripts.',
      severity: 'error',
      from: { path: '^(lib|app|config|bin|plugin-sidecar)/|^(index|koa|fork|agent|app)\\.ts$' },
      to: { path: '^(test|benchmark|scripts|fixtures|examples)/' },
    },
    {
      name: 'resolvable',
      comment: 'Everything that is imported exists.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // Compiled output stands beside its source.
    exclude: { path: '^(?!.*node_modules/).*\\.(d\\.ts|js)$' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: 'specify',
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.cjs', '.mjs', '.json'], exportsFields: ['exports'], conditionNames: ['require', 'import', 'node', 'types'] },
  },
};
