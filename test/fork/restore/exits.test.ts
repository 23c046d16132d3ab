/**
 * Each way to end, in a fresh Node process and in forks: exit code, signal and the text of both outputs, in its order,
 * must be the same. Frames of stacks are left out, since other frames call the case.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Exit } from '../../../lib/fork/children';
import { CASES, REJECTIONS } from '../programs/exits_cases';
import type { Drive } from '../programs/exits_driver';

const PROGRAMS = join(__dirname, '../programs');

interface Ended extends Exit {
  readonly text: string;
}

describe('exits of a fork', () => {
  const directory = mkdtempSync(join(tmpdir(), 'carton-exits-'));
  const fresh = new Map<string, Ended>();
  after(() => rmSync(directory, { recursive: true, force: true }));

  before(async () => {
    for (const name of Object.keys(CASES)) fresh.set(name, runFresh(name, []));
  });

  for (const derived of [false, true]) {
    describe(derived ? 'of a template that was forked itself' : 'of a root template', () => {
      let forked: Ended[] = [];
      before(() => {
        forked = runForked({ names: Object.keys(CASES), derived }, []);
      });
      for (const [index, name] of Object.keys(CASES).entries()) {
        it(`ends as a fresh process does: ${name}`, () => assert.deepEqual(forked[index], fresh.get(name)));
      }
    });
  }

  for (const mode of ['throw', 'strict', 'warn', 'none', 'warn-with-error-code']) {
    it(`ends as a fresh process does under --unhandled-rejections=${mode}`, () => {
      const names = Object.keys(REJECTIONS);
      const flags = [`--unhandled-rejections=${mode}`];
      const forked = runForked({ names, derived: false }, flags);
      assert.deepEqual(Object.fromEntries(names.map((name, i) => [name, forked[i]])), Object.fromEntries(names.map((name) => [name, runFresh(name, flags)])));
    });
  }

  it('writes all of a large text to a pipe when nothing is left to do', async () => {
    const names = ['a large text right before the end'];
    const driver = spawn(process.execPath, [join(PROGRAMS, 'exits_driver.js'), JSON.stringify({ names, derived: false } satisfies Drive)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const text = (await driver.stdout.toArray()).join('');
    assert.equal(comparable(text.replace(/\n#### .*\n$/, '')), 'x*1000000\n');
  });

  function runFresh(name: string, flags: readonly string[]): Ended {
    const { text, exit } = capture([...flags, join(PROGRAMS, 'exits_cases.js'), name]);
    return { ...exit, text: comparable(text) };
  }

  function runForked(drive: Drive, flags: readonly string[]): Ended[] {
    const { text } = capture([...flags, join(PROGRAMS, 'exits_driver.js'), JSON.stringify(drive)]);
    const parts = text.split(/\n#### (.*)\n/);
    return drive.names.map((_name, i) => ({ ...(JSON.parse(parts[2 * i + 1] ?? '{"code":-1,"signal":null}') as Exit), text: comparable(parts[2 * i] ?? '') }));
  }

  /** Both outputs go to one file, which shows their order. */
  function capture(args: readonly string[]): { text: string; exit: Exit } {
    const path = join(directory, 'output');
    const output = openSync(path, 'a+');
    const { status: code, signal } = spawnSync(process.execPath, args, { stdio: ['ignore', output, output], timeout: 50_000 });
    closeSync(output);
    const text = readFileSync(path, 'utf8');
    rmSync(path);
    return { text, exit: { code, signal } };
  }
});

/** Without what cannot be the same: frames, process ids, and how the frames of a cause are counted. */
function comparable(text: string): string {
  return text
    .replace(/^ +at .*\n/gm, '')
    // Those of process.abort().
    .replace(/^ *\d+: .*\n/gm, '')
    .replace(/^ +\.\.\. \d+ lines matching.*\n/gm, '')
    .replace(/\(node:\d+\)/g, '(node:PID)')
    .replace(/x{1000,}|y{1000,}/g, (run) => `${run[0]}*${run.length}`);
}
