/**
 * Development on a host that forks: instances are forks of a template of the application, and an edit of whatever the
 * template has loaded, the application's files or the framework's, shows at the very next request, by a fork again.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { startDevelopment, type DevelopmentHost } from '../support/development';
import { eventually } from '../support/eventually';
import { isRunning } from '../support/processes';

const FUNCTION = 'app/function/whence.ts';
const SERVICE = 'app/service/greeting.ts';

interface Whence {
  readonly text: string;
  readonly pid: number;
  readonly parent: number;
  readonly isForked: boolean;
}

/** A function that says `expression`, and whose child its process is. */
const whence = (expression: string): string => `import type { FunctionContext } from 'egg-carton';

export default async (ctx: FunctionContext) => ({
  text: ${expression},
  pid: process.pid,
  parent: process.ppid,
  isForked: /template_process\\.js$/.test(process.argv[1]),
});
`;

async function ask(host: DevelopmentHost): Promise<Whence> {
  const answer = await host.invoke('whence');
  assert.equal(answer.status, 200, answer.text);
  const told = answer.json<Whence>();
  assert.ok(told.isForked, answer.text);
  return told;
}

const titleOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();

async function ended(pid: number): Promise<void> {
  await eventually(`the end of ${pid}`, () => !isRunning(pid));
}

describe('egg-bin dev with forks', function () {
  this.timeout(60_000);
  let host: DevelopmentHost;
  before(async () => {
    host = await startDevelopment({ application: 'fixtures/dev-app' });
    host.save(FUNCTION, whence('ctx.service.greeting.name()'));
  });
  after(() => host?.destroy());

  it('forks instances from a template of the application', async () => {
    const { text, parent } = await ask(host);
    assert.equal(text, 'world');
    assert.match(titleOf(parent), /^egg-carton: template of dev-app$/);
    assert.ok(host.pidsOf('template').includes(parent));
  });

  it('serves an edited function from another fork of the same template', async () => {
    const before = await ask(host);
    host.save(FUNCTION, whence('`hello, ${ctx.service.greeting.name()}`'));
    const after = await ask(host);
    assert.deepEqual([after.text, after.parent], ['hello, world', before.parent]);
    assert.notEqual(after.pid, before.pid);
    await ended(before.pid);
  });

  it('serves what an edited service gives, by forks again, and retires the template that has the old one', async () => {
    let before = await ask(host);
    let last = "'world'";
    for (const next of ["'moon'", "'sun'", "'world'"]) {
      host.edit(SERVICE, last, next);
      const after = await ask(host);
      assert.equal(after.text, `hello, ${next.slice(1, -1)}`);
      assert.notEqual(after.parent, before.parent);
      await ended(before.parent);
      await ended(before.pid);
      [before, last] = [after, next];
    }
  });

  it('has one root template and one of the application, whatever was edited', async () => {
    await eventually('no other template', () => {
      const titles = host.pidsOf('template').map(titleOf).sort();
      return titles.length === 2 && titles[0] === 'egg-carton: root template' && titles[1] === 'egg-carton: template of dev-app';
    }, { seen: () => host.processes() });
  });
});

describe('egg-bin dev with forks, on a framework that is edited, too', function () {
  this.timeout(60_000);
  let host: DevelopmentHost;
  before(async () => {
    host = await startDevelopment({ application: 'fixtures/dev-app', framework: 'fixtures/custom-framework' });
    host.save(FUNCTION, whence('await (ctx.service as any).house.price(3)'));
  });
  after(() => host?.destroy());

  function edit(file: string, from: string, to: string): void {
    const full = path.join(host.frameworkDir, file);
    const text = readFileSync(full, 'utf8');
    assert.ok(text.includes(from), full);
    writeFileSync(full, text.replace(from, to));
  }

  for (const [what, file, from, to, expected] of [
    ['a service of the framework', 'app/service/house.js', 'toFixed(2)', 'toFixed(1)', '3.0 CNY'],
    ['the configuration of the framework', 'config/config.default.js', "'CNY'", "'EUR'", '3.0 EUR'],
    ['a class of the framework that extends Egg', 'lib/application.js', 'extends egg.Application {', "extends egg.Application {\n  constructor(options) {\n    super(options);\n    this.config.house.currency += '!';\n  }\n", '3.0 EUR!'],
  ] as const) {
    it(`serves what ${what} gives at the next request, by a fork again`, async () => {
      const before = await ask(host);
      edit(file, from, to);
      const after = await ask(host);
      assert.equal(after.text, expected);
      assert.notEqual(after.parent, before.parent);
      await ended(before.parent);
    });
  }
});
