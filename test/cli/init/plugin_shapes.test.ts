/**
 * Every shape of config/plugin that `init` edits, with the text that comes of it, and those that it leaves alone.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { main } from '../../../lib/cli/main';
import { withApplication } from '../../spec/workspace';
import { FakeTerminal } from '../fake_terminal';

interface Shape {
  readonly title: string;
  /** @default 'config/plugin.ts' */
  readonly file?: string;
  readonly before: string;
  readonly after: string;
}

const ENTRY = "carton: { enable: true, package: 'egg-carton' }";

const SHAPES: readonly Shape[] = [
  {
    title: 'export default {…} with comments and a trailing comma',
    before: "/** Plugins. */\nexport default {\n  // mysql: { enable: false }, }\n  redis: { enable: true, package: 'egg-redis' }, // kept\n};\n",
    after: `/** Plugins. */\nexport default {\n  // mysql: { enable: false }, }\n  redis: { enable: true, package: 'egg-redis' }, // kept\n  ${ENTRY},\n};\n`,
  },
  {
    title: 'export default {…} as EggPlugin',
    before: "import { EggPlugin } from 'egg';\nexport default {\n    static: true\n} as EggPlugin;\n",
    after: `import { EggPlugin } from 'egg';\nexport default {\n    static: true,\n    ${ENTRY}\n} as EggPlugin;\n`,
  },
  {
    title: 'const plugin: EggPlugin = {…}; export default plugin',
    before: "import type { EggPlugin } from 'egg';\n\nconst plugin: EggPlugin = {\n  cors: { enable: true, package: `egg-cors` },\n};\n\nexport default plugin;\n",
    after: `import type { EggPlugin } from 'egg';\n\nconst plugin: EggPlugin = {\n  cors: { enable: true, package: \`egg-cors\` },\n  ${ENTRY},\n};\n\nexport default plugin;\n`,
  },
  {
    title: 'const plugin = {…} satisfies …',
    before: 'const plugin = {} satisfies Record<string, unknown>;\nexport default plugin;\n',
    after: `const plugin = {\n  ${ENTRY},\n} satisfies Record<string, unknown>;\nexport default plugin;\n`,
  },
  { title: 'export = {…}', before: 'export = {\n\ti18n: false,\n};\n', after: `export = {\n\ti18n: false,\n\t${ENTRY},\n};\n` },
  { title: 'export const', before: 'export const i18n = false;\n', after: `export const i18n = false;\n\nexport const carton = ${ENTRY.slice('carton: '.length)};\n` },
  { title: 'an empty file in TypeScript', before: '// nothing yet\n', after: `// nothing yet\n\nexport const carton = ${ENTRY.slice('carton: '.length)};\n` },
  {
    title: 'module.exports = {…}, with the comments of a new application',
    file: 'config/plugin.js',
    before: "'use strict';\n\n/** @type Egg.EggPlugin */\nmodule.exports = {\n  // had enabled by egg\n  // static: {\n  //   enable: true,\n  // }\n};\n",
    after: `'use strict';\n\n/** @type Egg.EggPlugin */\nmodule.exports = {\n  // had enabled by egg\n  // static: {\n  //   enable: true,\n  // }\n  ${ENTRY},\n};\n`,
  },
  { title: 'module.exports = {…} in one line', file: 'config/plugin.js', before: 'module.exports = { i18n: true };', after: `module.exports = { i18n: true, ${ENTRY} };` },
  {
    title: 'a variable that module.exports gets',
    file: 'config/plugin.js',
    before: "const plugins = {\n  ...require('./shared'),\n  'cors': true\n}\nplugins.extra = false\nmodule.exports = plugins\n",
    after: `const plugins = {\n  ...require('./shared'),\n  'cors': true,\n  ${ENTRY}\n}\nplugins.extra = false\nmodule.exports = plugins\n`,
  },
  {
    title: 'exports.x = …, in double quotes',
    file: 'config/plugin.js',
    before: '"use strict";\n\nexports.redis = {\n  enable: true,\n  package: "egg-redis",\n};',
    after: '"use strict";\n\nexports.redis = {\n  enable: true,\n  package: "egg-redis",\n};\n\nexports.carton = { enable: true, package: "egg-carton" };\n',
  },
  { title: 'line ends of Windows', file: 'config/plugin.js', before: 'module.exports = {\r\n  i18n: true,\r\n};\r\n', after: `module.exports = {\r\n  i18n: true,\r\n  ${ENTRY},\r\n};\r\n` },
  { title: 'config/plugin.default, which Egg prefers', file: 'config/plugin.default.js', before: 'module.exports = {};\n', after: `module.exports = {\n  ${ENTRY},\n};\n` },
  {
    title: 'a regular expression and a template among the entries',
    file: 'config/plugin.js',
    before: 'module.exports = {\n  site: { enable: true, match: /[/}{]\\}/, path: `${["}"].join("`")}` },\n};\n',
    after: `module.exports = {\n  site: { enable: true, match: /[/}{]\\}/, path: \`\${["}"].join("\`")}\` },\n  carton: { enable: true, package: "egg-carton" },\n};\n`,
  },
];

const REFUSED: readonly Shape[] = [
  { title: 'a function, which Egg does not call here', before: 'export default () => {\n  return { i18n: true };\n};\n', after: 'a function' },
  { title: 'a function in parentheses', file: 'config/plugin.js', before: 'module.exports = appInfo => ({ i18n: true });\n', after: 'a function' },
  { title: 'the result of a call', before: "import { define } from './define';\nexport default define({ i18n: true });\n", after: 'one exported object literal' },
  { title: 'an import that is handed on', before: "import plugin from './shared';\nexport default plugin;\n", after: 'one exported object literal' },
  { title: 'a variable that is assigned again', before: 'let plugin = {};\nif (process.env.X) { plugin = { a: true }; }\nexport default plugin;\n', after: 'one exported object literal' },
  { title: 'two whole exports', file: 'config/plugin.js', before: 'module.exports = { a: true };\nmodule.exports = { b: true };\n', after: 'one exported object literal' },
  { title: 'exports inside a condition', file: 'config/plugin.js', before: 'if (process.env.X) {\n  module.exports = { a: true };\n}\n', after: 'one exported object literal' },
  { title: 'code after the object', file: 'config/plugin.js', before: 'module.exports = { a: true } || {};\n', after: 'one exported object literal' },
  { title: 'a string that does not end', file: 'config/plugin.js', before: "module.exports = { a: 'x };\n", after: 'strings, comments and brackets' },
  { title: 'an entry that switches the plugin off', before: "export default {\n  carton: { enable: false, package: 'egg-carton' },\n};\n", after: '"carton" to be enabled' },
  { title: 'JSON', file: 'config/plugin.json', before: '{}\n', after: 'ends in .ts or .js' },
];

function files({ file = 'config/plugin.ts', before }: Shape): Record<string, string> {
  return { 'package.json': '{ "name": "shapes", "dependencies": { "egg": "3" } }\n', 'app/router.js': 'module.exports = () => {};\n', [file]: before };
}

function load(text: string): unknown {
  const { outputText } = ts.transpileModule(text, { compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 } });
  const loaded = { exports: {} as Record<string, unknown> };
  new Function('module', 'exports', 'require', outputText)(loaded, loaded.exports, () => ({}));
  return loaded.exports['__esModule'] === true && 'default' in loaded.exports ? loaded.exports['default'] : loaded.exports;
}

describe('init edits config/plugin', () => {
  for (const shape of SHAPES) {
    it(`keeps formatting and comments of ${shape.title}, and changes nothing the second time`, async () => {
      await withApplication(files(shape), async (baseDir) => {
        const file = path.join(baseDir, shape.file ?? 'config/plugin.ts');
        assert.equal(await main(['init', baseDir, '--yes'], new FakeTerminal()), 0);
        assert.equal(fs.readFileSync(file, 'utf8'), shape.after);
        assert.deepEqual((load(shape.after) as { carton: unknown }).carton, { enable: true, package: 'egg-carton' });
        const again = new FakeTerminal();
        assert.equal(await main(['init', baseDir, '--yes'], again), 0);
        assert.match(again.lines.join('\n'), /nothing was changed/);
        assert.equal(fs.readFileSync(file, 'utf8'), shape.after);
      });
    });
  }

  for (const shape of REFUSED) {
    it(`refuses ${shape.title}, and writes nothing`, async () => {
      await withApplication(files(shape), async (baseDir) => {
        const terminal = new FakeTerminal();
        const before = fs.readdirSync(baseDir, { recursive: true });
        assert.equal(await main(['init', baseDir, '--yes'], terminal), 1);
        assert.match(terminal.errors.join('\n'), /^CARTON_CLI_CANNOT_EDIT: /);
        assert.ok(terminal.errors.join('\n').includes(shape.after), terminal.errors.join('\n'));
        assert.ok(terminal.errors.join('\n').includes(ENTRY));
        assert.deepEqual(fs.readdirSync(baseDir, { recursive: true }), before);
        assert.equal(fs.readFileSync(path.join(baseDir, shape.file ?? 'config/plugin.ts'), 'utf8'), shape.before);
        assert.ok(!fs.readFileSync(path.join(baseDir, 'package.json'), 'utf8').includes('egg-carton'));
      });
    });
  }

  for (const [title, text] of [
    ['an entry in quotes', "module.exports = { 'carton': { enable: true, package: 'egg-carton' } };\n"],
    ['an entry whose value is elsewhere', 'const { carton } = require("./all");\nmodule.exports = { carton };\n'],
    ['an assignment', "const plugin = {};\nplugin.carton = { enable: true, package: 'egg-carton' };\nmodule.exports = plugin;\n"],
    ['a single export', "exports.carton = { enable: true, package: 'egg-carton' };\n"],
  ] as const) {
    it(`takes ${title} for enabled`, async () => {
      await withApplication(files({ title, file: 'config/plugin.js', before: text, after: text }), async (baseDir) => {
        assert.equal(await main(['init', baseDir, '--yes'], new FakeTerminal()), 0);
        assert.equal(fs.readFileSync(path.join(baseDir, 'config/plugin.js'), 'utf8'), text);
      });
    });
  }
});
