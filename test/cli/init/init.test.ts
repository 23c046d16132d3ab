/**
 * `egg-carton init` as a whole: what it shows, asks and changes, and when it changes nothing.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { main } from '../../../lib/cli/main';
import { withApplication } from '../../spec/workspace';
import { ROOT } from '../../support/cluster';
import { FakeTerminal } from '../fake_terminal';

const { version } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { version: string };

const JAVASCRIPT = {
  'package.json': '{\n  "name": "shop",\n  "dependencies": {\n    "egg": "^3.34.0",\n    "egg-scripts": "^3.0.0"\n  }\n}\n',
  'config/config.default.js': 'exports.keys = "k";\n',
};
const TYPESCRIPT = { 'package.json': '{"name":"shop","egg":{"typescript":true,"framework":"house"}}', 'config/config.default.ts': "export default { keys: 'k' };\n" };

/** What a package.json without a section `eggScriptsConfig` gets. */
const SECTION = '  "eggScriptsConfig": {\n    "require": [\n      "egg-carton/register"\n    ]\n  }';
const REGISTERED = '"eggScriptsConfig": { "require": ["egg-carton/register"] }';

function snapshot(baseDir: string): Record<string, string> {
  const names = fs.readdirSync(baseDir, { recursive: true, encoding: 'utf8' }).filter((name) => fs.statSync(path.join(baseDir, name)).isFile());
  return Object.fromEntries(names.sort().map((name) => [name, fs.readFileSync(path.join(baseDir, name), 'utf8')]));
}

describe('egg-carton init', () => {
  it('shows the lines, asks, changes them and writes a first function', async () => {
    await withApplication(JAVASCRIPT, async (baseDir) => {
      const terminal = new FakeTerminal(() => true);
      assert.equal(await main(['init', baseDir], terminal), 0);
      assert.deepEqual(terminal.questions, ['Make these 4 changes?']);
      assert.deepEqual(terminal.changes.slice(0, 3), ['      "egg": "^3.34.0",', `+     "egg-carton": "^${version}",`, '      "egg-scripts": "^3.0.0"']);
      assert.deepEqual(terminal.changes.slice(3, 10), ['      "egg-scripts": "^3.0.0"', '+   },', '+   "eggScriptsConfig": {', '+     "require": [', '+       "egg-carton/register"', '+     ]', '    }']);
      assert.deepEqual(terminal.lines.filter((line) => line === 'package.json'), ['package.json']);
      assert.ok(terminal.changes.includes("+   carton: { enable: true, package: 'egg-carton' },"));
      const after = snapshot(baseDir);
      assert.deepEqual(Object.keys(after), ['app/function/hello.js', 'config/config.default.js', 'config/plugin.js', 'package.json']);
      assert.equal(after['package.json'], JAVASCRIPT['package.json'].replace('    "egg-scripts"', `    "egg-carton": "^${version}",\n    "egg-scripts"`).replace(/\}\n\}\n$/, `},\n${SECTION}\n}\n`));
      assert.equal(after['config/config.default.js'], JAVASCRIPT['config/config.default.js']);
      assert.match(after['app/function/hello.js'] as string, /^'use strict';\n[\s\S]*module\.exports = async function hello/);
      assert.match(terminal.lines.join('\n'), /Next:\n {2}npm install\n/);
      assert.match(terminal.lines.at(-1) ?? '', /`npx egg-carton snapshot` makes starts faster/);
    });
  });

  it('changes nothing the second time, and says so', async () => {
    await withApplication(JAVASCRIPT, async (baseDir) => {
      await main(['init', baseDir, '--yes'], new FakeTerminal());
      const before = snapshot(baseDir);
      const terminal = new FakeTerminal(() => true);
      assert.equal(await main(['init', baseDir], terminal), 0);
      assert.deepEqual(terminal.questions, []);
      assert.deepEqual(terminal.lines, [`${baseDir}: egg-carton is enabled already; nothing was changed.`]);
      assert.deepEqual(snapshot(baseDir), before);
    });
  });

  it('writes TypeScript into an application in TypeScript, also on a framework that extends Egg', async () => {
    await withApplication(TYPESCRIPT, async (baseDir) => {
      assert.equal(await main(['init', baseDir, '-y'], new FakeTerminal()), 0);
      const after = snapshot(baseDir);
      assert.equal(after['config/plugin.ts'], "export default {\n  carton: { enable: true, package: 'egg-carton' },\n};\n");
      assert.match(after['app/function/hello.ts'] as string, /import type \{ FunctionContext \} from 'egg-carton';/);
      assert.deepEqual((JSON.parse(after['package.json'] as string) as { dependencies: unknown }).dependencies, { 'egg-carton': `^${version}` });
    });
  });

  it('leaves the functions of an application that has some alone', async () => {
    await withApplication({ ...JAVASCRIPT, 'app/function/a/b.js': 'module.exports = async () => 1;\n' }, async (baseDir) => {
      await main(['init', baseDir, '--yes'], new FakeTerminal());
      assert.ok(!fs.existsSync(path.join(baseDir, 'app/function/hello.js')));
    });
  });

  it('changes nothing where the question is answered with no', async () => {
    await withApplication(JAVASCRIPT, async (baseDir) => {
      const before = snapshot(baseDir);
      assert.equal(await main(['init', baseDir], new FakeTerminal(() => false)), 3);
      assert.deepEqual(snapshot(baseDir), before);
    });
  });

  it('changes nothing without a terminal and without --yes, and says so', async () => {
    await withApplication(JAVASCRIPT, async (baseDir) => {
      const before = snapshot(baseDir);
      const terminal = new FakeTerminal();
      assert.equal(await main(['init', baseDir], terminal), 3);
      assert.match(terminal.errors.join('\n'), /Nothing was changed: there is no terminal to ask at\. Run it with --yes/);
      assert.deepEqual(snapshot(baseDir), before);
    });
  });

  it('overwrites no file that changed while the question was open, and none of the others', async () => {
    await withApplication({ ...JAVASCRIPT, 'config/plugin.js': 'module.exports = {};\n' }, async (baseDir) => {
      const plugin = path.join(baseDir, 'config/plugin.js');
      const terminal = new FakeTerminal(() => {
        fs.writeFileSync(plugin, 'module.exports = { i18n: true };\n');
        return true;
      });
      assert.equal(await main(['init', baseDir], terminal), 1);
      assert.match(terminal.errors.join('\n'), /^CARTON_CLI_CANNOT_EDIT: .*changed since/);
      assert.deepEqual(snapshot(baseDir), { ...JAVASCRIPT, 'config/plugin.js': 'module.exports = { i18n: true };\n' });
    });
  });

  for (const [title, files, got] of [
    ['a directory without package.json', { 'app/router.js': '' }, 'no package.json'],
    ['a package that does not use Egg', { 'package.json': '{"dependencies":{"koa":"2"}}', 'app/index.js': '' }, 'a package.json with neither'],
    ['a plugin of Egg', { 'package.json': '{"eggPlugin":{"name":"x"},"dependencies":{"egg":"3"}}', 'config/config.default.js': '' }, 'an Egg plugin'],
    ['a package of Egg without app/ and config/', { 'package.json': '{"dependencies":{"egg":"3"}}' }, 'neither app/ nor config/'],
    ['a package.json that is no JSON', { 'package.json': '{', 'app/router.js': '' }, 'a package.json that cannot be read'],
  ] as const) {
    it(`does not take ${title} for an application`, async () => {
      await withApplication(files, async (baseDir) => {
        const terminal = new FakeTerminal();
        assert.equal(await main(['init', baseDir, '--yes'], terminal), 1);
        const [error = ''] = terminal.errors;
        assert.ok(error.startsWith('CARTON_CLI_NOT_AN_APPLICATION: ') && error.includes(got), error);
        assert.deepEqual(snapshot(baseDir), files);
      });
    });
  }

  for (const [title, before, after] of [
    ['dependencies in one line', `{ ${REGISTERED}, "dependencies": { "egg": "3", "koa": "2" } }`, `{ ${REGISTERED}, "dependencies": { "egg": "3", "egg-carton": "^${version}", "koa": "2" } }`],
    ['unsorted dependencies', `{\n\t${REGISTERED},\n\t"dependencies": {\n\t\t"koa": "2",\n\t\t"egg": "3"\n\t}\n}\n`, `{\n\t${REGISTERED},\n\t"dependencies": {\n\t\t"koa": "2",\n\t\t"egg": "3",\n\t\t"egg-carton": "^${version}"\n\t}\n}\n`],
    ['no dependencies', `{\n    "egg": {},\n    ${REGISTERED}\n}\n`, `{\n    "egg": {},\n    ${REGISTERED},\n    "dependencies": {\n        "egg-carton": "^${version}"\n    }\n}\n`],
    ['line ends of Windows', `{\r\n  ${REGISTERED},\r\n  "dependencies": {\r\n    "egg": "3",\r\n    "koa": "2"\r\n  }\r\n}\r\n`, `{\r\n  ${REGISTERED},\r\n  "dependencies": {\r\n    "egg": "3",\r\n    "egg-carton": "^${version}",\r\n    "koa": "2"\r\n  }\r\n}\r\n`],
  ] as const) {
    it(`adds the dependency to a package.json with ${title}`, async () => {
      assert.equal((await initialised(before)).text, after);
    });
  }

  const DEPENDED = '"devDependencies": { "egg": "3", "egg-carton": "file:../x" }';
  for (const [title, before, after] of [
    ['no section "eggScriptsConfig"', `{\n\t${DEPENDED}\n}\n`, `{\n\t${DEPENDED},\n\t"eggScriptsConfig": {\n\t\t"require": [\n\t\t\t"egg-carton/register"\n\t\t]\n\t}\n}\n`],
    ['everything on one line', `{ ${DEPENDED} }`, `{ ${DEPENDED}, ${REGISTERED} }`],
    ['an empty section "eggScriptsConfig"', `{\n    ${DEPENDED},\n    "eggScriptsConfig": {}\n}\n`, `{\n    ${DEPENDED},\n    "eggScriptsConfig": {\n        "require": [\n            "egg-carton/register"\n        ]\n    }\n}\n`],
    ['a section "eggScriptsConfig" without a list', `{\n  ${DEPENDED},\n  "eggScriptsConfig": { "workers": 2 }\n}\n`, `{\n  ${DEPENDED},\n  "eggScriptsConfig": { "workers": 2, "require": ["egg-carton/register"] }\n}\n`],
    ['an empty list', `{ ${DEPENDED}, "eggScriptsConfig": { "require": [ ] } }`, `{ ${DEPENDED}, ${REGISTERED} }`],
    ['a list on one line, in front of its others', `{ ${DEPENDED}, "eggScriptsConfig": { "require": ["./a.js", "b"] } }`, `{ ${DEPENDED}, "eggScriptsConfig": { "require": ["egg-carton/register", "./a.js", "b"] } }`],
    ['a list on several lines', `{\r\n  ${DEPENDED},\r\n  "eggScriptsConfig": {\r\n    "require": [\r\n      "b"\r\n    ]\r\n  }\r\n}\r\n`, `{\r\n  ${DEPENDED},\r\n  "eggScriptsConfig": {\r\n    "require": [\r\n      "egg-carton/register",\r\n      "b"\r\n    ]\r\n  }\r\n}\r\n`],
    ['a section "egg" of its own, whose list is another', `{ ${DEPENDED}, "egg": { "require": ["egg-carton/register"] } }`, `{ ${DEPENDED}, "egg": { "require": ["egg-carton/register"] }, ${REGISTERED} }`],
  ] as const) {
    it(`adds the module that egg-scripts preloads to a package.json with ${title}`, async () => {
      assert.equal((await initialised(before)).text, after);
      assert.equal((await initialised(after)).text, after);
    });
  }

  it('names the module by its path in the application where it is installed there, so that any working directory will do', async () => {
    const installed = { 'node_modules/egg-carton/register.js': '' };
    const { text } = await initialised(`{ ${DEPENDED} }`, installed);
    assert.equal(text, `{ ${DEPENDED}, "eggScriptsConfig": { "require": ["./node_modules/egg-carton/register.js"] } }`);
    assert.equal((await initialised(text, installed)).text, text);
  });

  for (const form of ['egg-carton/register', 'egg-carton/register.js', './node_modules/egg-carton/register.js', './node_modules/egg-carton/register', '/srv/shop/node_modules/egg-carton/register.js', path.join(ROOT, 'register.js')]) {
    it(`leaves a dependency and a module alone that are there, wherever they stand: ${path.isAbsolute(form) && form.startsWith(ROOT) ? 'the path of this package' : form}`, async () => {
      const text = `{ "eggScriptsConfig": { "require": ["./first.js", ${JSON.stringify(form)}] }, "devDependencies": { "egg": "3", "egg-carton": "file:../x" } }`;
      assert.equal((await initialised(text)).text, text);
      assert.equal((await initialised(text, { 'node_modules/egg-carton/register.js': '' })).text, text);
    });
  }

  for (const [title, section] of [
    ['a list that is a string', '{ "require": "./a.js" }'],
    ['a list that is an object', '{ "require": { "a": 1 } }'],
    ['a section that is no object', 'true'],
    ['a name that stands there twice', '{ "require": [] }, "eggScriptsConfig": { "require": ["./a.js"] }'],
  ] as const) {
    it(`leaves ${title} alone, and says what to write`, async () => {
      const text = `{ ${DEPENDED}, "eggScriptsConfig": ${section} }`;
      const { text: after, lines } = await initialised(text);
      assert.equal(after, text);
      assert.match(lines, /"eggScriptsConfig\.require" is not a list, and was left as it is\. Make it one that begins with "egg-carton\/register"/);
    });
  }
});

/** A package.json after `init`, and what that said. */
async function initialised(packageText: string, files: Readonly<Record<string, string>> = {}): Promise<{ text: string; lines: string }> {
  return withApplication({ 'package.json': packageText, 'app/router.js': '', ...files }, async (baseDir) => {
    const terminal = new FakeTerminal();
    assert.equal(await main(['init', baseDir, '--yes'], terminal), 0);
    return { text: fs.readFileSync(path.join(baseDir, 'package.json'), 'utf8'), lines: terminal.lines.join('\n') };
  });
}
