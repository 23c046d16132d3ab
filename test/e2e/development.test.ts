/**
 * Development, as a developer meets it: a TypeScript application under a real `egg-bin dev`, whose files are edited
 * while it runs. The tests follow each other on one host, so that the machine starts it once.
 */
import assert from 'node:assert/strict';
import { startDevelopment, type DevelopmentHost } from '../support/development';
import { eventually } from '../support/eventually';

const HELLO = 'app/function/hello.ts';
const SERVICE = 'app/service/greeting.ts';
const SPECS = 'config/function.ts';

interface Greeting {
  readonly text: string;
  readonly pid: number;
}

describe('egg-bin dev', function () {
  this.timeout(60_000);
  let host: DevelopmentHost;

  before(async () => {
    host = await startDevelopment({ application: 'fixtures/dev-app' });
  });

  after(() => host.destroy());

  async function call<T>(name: string, ...args: unknown[]): Promise<T> {
    const answer = await host.invoke(name, args);
    assert.equal(answer.status, 200, answer.text);
    return answer.json<T>();
  }

  /** Asks until the route of the application's own answers from a worker that is not `old`. */
  async function otherWorker(old: number): Promise<{ pid: number; name: string }> {
    return eventually('another worker', async () => {
      const asked = host.client.request('/who', { fresh: true }).then((answer) => answer.json<{ pid: number; name: string }>());
      // While workers change there may be nobody to answer.
      const who = await asked.catch(() => undefined);
      return who !== undefined && who.pid !== old ? who : undefined;
    });
  }

  async function worker(): Promise<number> {
    return (await host.client.request('/who')).json<{ pid: number }>().pid;
  }

  /** The one worker, once no reload is under way: egg-development ends all at once where two of them meet. */
  async function onlyWorker(): Promise<number> {
    return eventually('a single worker', async () => {
      const [only, other] = host.pidsOf('worker');
      return other === undefined && only === (await worker().catch(() => undefined)) ? only : undefined;
    });
  }

  /** As a browser does, asks once more where the connection ended before any answer. */
  async function askAsBrowser(fresh: boolean): Promise<number> {
    const ask = async (): Promise<number> => (await host.invoke('hello', [], { fresh })).status;
    return ask().catch(ask);
  }

  describe('a saved function', () => {
    it('takes effect at the next request and restarts nothing else', async () => {
      const { pid: steady } = await call<{ pid: number }>('steady');
      const { pid: first } = await call<Greeting>('hello');
      const before = { agent: host.pidsOf('agent'), worker: await worker() };
      let last = 'hello,';
      for (const next of ['hi,', 'servus,', 'grüezi,']) {
        host.edit(HELLO, last, next);
        assert.equal((await call<Greeting>('hello')).text, `${next} world`);
        last = next;
      }
      assert.notEqual((await call<Greeting>('hello')).pid, first);
      assert.equal((await call<{ pid: number }>('steady')).pid, steady);
      assert.deepEqual({ agent: host.pidsOf('agent'), worker: await worker() }, before);
      host.edit(HELLO, last, 'hello,');
    });

    it('serves requests that come at the same time with the new code', async () => {
      host.edit(HELLO, 'hello,', 'all,');
      const answers = await Promise.all(Array.from({ length: 20 }, () => call<Greeting>('hello')));
      assert.deepEqual([...new Set(answers.map(({ text }) => text))], ['all, world']);
      host.edit(HELLO, 'all,', 'hello,');
    });

    it('takes effect through a module that it imports', async () => {
      host.save('lib/words.ts', "export const word = 'one';\n");
      const original = host.read(HELLO);
      host.save(HELLO, `import { word } from '../../lib/words';\n${original.replace('hello,', '${word},')}`);
      assert.equal((await call<Greeting>('hello')).text, 'one, world');
      host.save('lib/words.ts', "export const word = 'two';\n");
      assert.equal((await call<Greeting>('hello')).text, 'two, world');
      host.save(HELLO, original);
    });
  });

  describe('a saved service', () => {
    it('is what waiting function requests are served with, and reloads the workers as always', async () => {
      const old = await onlyWorker();
      await call('hello');
      host.edit(SERVICE, "'world'", "'moon'");
      const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => host.invoke('hello', [], { fresh: index % 2 === 0 })));
      for (const answer of answers) {
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.json<Greeting>().text, 'hello, moon');
      }
      assert.equal((await otherWorker(old)).name, 'moon');
      assert.equal((await call<Greeting>('hello')).text, 'hello, moon');
      // Events come in order: had the edits of functions before reloaded workers, it would stand here by now.
      assert.match(host.output, /reload worker because \S*greeting\.ts/);
      assert.doesNotMatch(host.output, /reload worker because \S*(?:app|config)\/function/);
    });

    it('loses no request while the workers change', async () => {
      const old = await onlyWorker();
      host.save(SERVICE, `${host.read(SERVICE)}\n`);
      let changed = false;
      const ask = async (fresh: boolean): Promise<void> => {
        while (!changed) assert.equal(await askAsBrowser(fresh), 200);
      };
      await Promise.all([ask(true), ask(false), otherWorker(old).then(() => (changed = true))]);
    });

    it('may be a new one', async () => {
      const old = await onlyWorker();
      host.save('app/service/later.ts', "import { Service } from 'egg';\nexport default class LaterService extends Service { word() { return 'later'; } }\n");
      host.save('app/function/late.ts', 'export default (ctx: any) => ctx.service.later.word();\n');
      assert.equal(await call('late'), 'later');
      await otherWorker(old);
    });

    it('that cannot be compiled is told with file and line, and heals with the next save', async () => {
      const old = await onlyWorker();
      host.edit(SERVICE, 'name()', 'name((');
      const answer = await host.invoke('hello');
      assert.equal(answer.code, 'CARTON_INSTANCE_LAUNCH_FAILED', answer.text);
      assert.match(answer.text, /app\/service\/greeting\.ts:6:\d+/);
      await eventually('the error in the console', () => /\[carton\] instance \S+ of hello.*[^]*app\/service\/greeting\.ts:6/.test(host.output));
      // Egg ends the workers, too: the application has no code to run.
      await eventually('the end of the old worker', () => !host.pidsOf('worker').includes(old));
      host.edit(SERVICE, 'name((', 'name()');
      await otherWorker(old);
      assert.equal((await call<Greeting>('hello')).text, 'hello, moon');
    });
  });

  describe('a function that cannot be loaded', () => {
    const broken: [title: string, edit: () => void, place: RegExp][] = [
      ['a syntax error', () => host.edit(HELLO, 'return {', 'return {{'), /app\/function\/hello\.ts:6:\d+/],
      ['a throw', () => host.save(HELLO, `\n\nthrow new Error('thrown at load');\n`), /app\/function\/hello\.ts:3:\d+/],
      ['a missing module', () => host.save(HELLO, "import '../../lib/missing';\n"), /app\/function\/hello\.ts:1:\d+/],
    ];
    for (const [title, edit, place] of broken) {
      it(`tells caller and console where for ${title}, and heals with the next save`, async () => {
        const good = host.read(HELLO);
        const told = host.output.length;
        edit();
        const answer = await host.invoke('hello');
        assert.equal(answer.code, 'CARTON_RUNTIME_LOAD_FAILED', answer.text);
        const { error } = answer.json<{ error: { message: string; function: { stack: string } } }>();
        assert.match(error.message, place);
        assert.ok(error.function.stack.length > 0);
        await eventually('the error in the console', () => {
          const lines = host.output.slice(told).split('\n').filter((line) => line.startsWith('[hello] '));
          return place.test(lines.join('\n'));
        });
        host.save(HELLO, good);
        assert.equal((await call<Greeting>('hello')).text, 'hello, moon');
      });
    }

    it('heals when a module that it missed is written', async () => {
      const good = host.read(HELLO);
      host.save(HELLO, `import { word } from '../../lib/awaited';\nexport default () => word;\n`);
      assert.equal((await host.invoke('hello')).code, 'CARTON_RUNTIME_LOAD_FAILED');
      host.save('lib/awaited.ts', "export const word = 'here';\n");
      assert.equal(await call('hello'), 'here');
      host.save(HELLO, good);
    });
  });

  describe('functions and their specs', () => {
    it('serves a new function at the next request', async () => {
      const old = await worker();
      host.save('app/function/young/new.ts', 'export default () => 1;\n');
      assert.equal(await call('young/new'), 1);
      host.save('app/function/young/new.ts', 'export default () => 1;\nexport const also = () => 2;\n');
      assert.equal(await call('young/new.also'), 2);
      assert.equal(await worker(), old);
    });

    it('answers 404 for a deleted one', async () => {
      await call('young/new');
      host.remove('app/function/young/new.ts');
      const answer = await host.invoke('young/new');
      assert.equal(answer.status, 404, answer.text);
    });

    it('takes up triggers and limits at the next request', async () => {
      const specs = host.read(SPECS);
      host.edit(SPECS, 'hello: {', "hello: { triggers: [{ type: 'http', method: 'GET', path: '/hi' }],");
      assert.equal((await host.client.request('/hi')).json<Greeting>().text, 'hello, moon');
      host.save('app/function/slow.ts', 'export default () => new Promise(() => undefined);\n');
      host.save(SPECS, specs.replace('hello: {', 'slow: { timeoutMs: 100 },\n  hello: {'));
      assert.equal((await host.invoke('slow')).code, 'CARTON_RUNTIME_TIMEOUT');
      assert.equal((await host.client.request('/hi')).status, 404);
      host.save(SPECS, specs);
    });

    it('reports an invalid spec in the console and keeps the last good ones', async () => {
      const specs = host.read(SPECS);
      const told = host.output.length;
      host.edit(SPECS, 'hello: { timeoutMs: 20_000 }', "hello: { timeoutMs: 'long' }");
      assert.equal((await call<Greeting>('hello')).text, 'hello, moon');
      await eventually('the error in the console', () => /CARTON_SPEC_INVALID|function spec is not valid[^]*timeoutMs/.test(host.output.slice(told)));
      host.save(SPECS, specs);
      assert.equal((await call<Greeting>('hello')).text, 'hello, moon');
    });
  });

  describe('the console', () => {
    it('has the function in front of each line that one prints', async () => {
      await call('print', 'x');
      const lines = [/^\[print\] log x$/m, /^\[print\] second line x$/m, /^\[print\] error x$/m, /^\[print\] .* logger x$/m, /^\[print\] .* service x$/m];
      for (const line of lines) await eventually(String(line), () => line.test(host.output), { seen: () => host.output });
    });

    it('tells functions of one process from each other', async () => {
      assert.equal(await call('pair/one'), 'one');
      assert.match((await host.invoke('pair/two')).text, /two/);
      for (const line of [/^\[pair\/one\] printed by one$/m, /^\[pair\/one\] printed later by one$/m, /^\[pair\/two\] printed by two$/m]) {
        await eventually(String(line), () => line.test(host.output));
      }
    });

    it('keeps what functions print when the agent has died, and so do the functions', async () => {
      const { pid } = await call<{ pid: number }>('print', 'before');
      const [agent] = host.pidsOf('agent');
      process.kill(agent as number, 'SIGKILL');
      assert.equal((await call<{ pid: number }>('print', 'without agent')).pid, pid);
      await eventually('what was printed without an agent', () => /^\[print\] log without agent$/m.test(host.output));
    });
  });
});

describe('egg-bin dev --inspect', function () {
  this.timeout(60_000);

  it('keeps the inspector out of function processes, and Ctrl-C ends everything', async () => {
    const host = await startDevelopment({ application: 'fixtures/dev-app', environment: { NODE_OPTIONS: '--inspect=127.0.0.1:0' }, args: ['--inspect=127.0.0.1:0'] });
    try {
      assert.equal((await host.invoke('hello')).status, 200);
      const listening = host.output.split('\n').filter((line) => line.includes('Debugger listening'));
      assert.ok(listening.length > 0);
      assert.equal(host.output.split('\n').filter((line) => line.includes('[hello] Debugger') || line.includes('[function process] Debugger')).length, 0);
      const instances = host.processes().filter((info) => info.kind === 'instance');
      assert.ok(instances.length > 0);
      for (const { commandLine } of instances) assert.doesNotMatch(commandLine, /--inspect/);
      host.interrupt();
      await host.gone();
    } finally {
      await host.destroy();
    }
  });
});
