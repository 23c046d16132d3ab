/**
 * Many forks of one template: one after the other, each of which draws random numbers, and a thousand that live at once.
 * Real processes; the first kind runs in a process of its own, the second below the mocha process.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { promisify } from 'node:util';
import { held } from '../../lib/fork/children';
import { Template, type ForkedProcess } from '../../lib/fork/template';
import { ROOT } from '../support/cluster';
import { eventually } from '../support/eventually';
import { descriptorsOf, isRunning, zombiesBelow } from '../support/processes';

const SOAK = path.join(ROOT, 'scripts/soak/forks.js');
const ENTRY = path.join(ROOT, 'lib/entry/template_process.js');
const PROGRAM = path.join(__dirname, 'programs/tree.js');
const CROWD = 1000;

describe('a crowd of forks', function () {
  this.timeout(5 * 60_000);

  for (const [title, atOnce] of [['one after the other', '1'], ['32 at once', '32']] as const) {
    it(`of 500, ${title}: each answers and ends, nothing is left over, no random number comes twice`, async () => {
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [SOAK, '--forks', '500', '--at-once', atOnce])
        .catch((failure: { stdout: string; stderr: string }) => failure);
      assert.match(stdout, /"forks":500\b.*"clean":true/, stdout + stderr);
    });
  }

  it(`of ${CROWD} that live at once: each answers, all end, no zombie and no descriptor is left`, async () => {
    const root = await Template.start({ entry: ENTRY, program: PROGRAM, argument: {} });
    const template = await root.derive({ program: PROGRAM, argument: {} });
    const tree = [process.pid, root.pid, template.pid];
    const open = (): number[] => tree.map(descriptorsOf);
    // Hosts that other tests have killed left their roots to this process.
    const known = zombiesBelow(process.pid);
    const crowd: ForkedProcess[] = [];
    try {
      const before = open();
      const waiting = held().waiting;
      crowd.push(...await Promise.all(Array.from({ length: CROWD }, () => template.fork({}))));
      const said = await Promise.all(crowd.map(answerOf));
      assert.deepEqual(said, crowd.map(({ pid }) => pid));
      assert.equal(new Set(said).size, CROWD);
      assert.deepEqual(said.filter((pid) => !isRunning(pid)), []);

      // Each is asked once more, with all others there.
      for (const { channel } of crowd) channel.write('say again');
      for (const fork of crowd) assert.equal(await wordOf(fork), 'again');
      for (const { channel } of crowd) channel.write('exit 0');
      const exits = await Promise.all(crowd.map(({ exited }) => exited));
      assert.deepEqual(exits.filter(({ code }) => code !== 0), []);
      await eventually('no descriptor left', () => open().every((count, index) => count <= (before[index] as number)), { seen: () => [before, open()] });
      assert.deepEqual(tree.flatMap(zombiesBelow).filter((pid) => !known.includes(pid)), []);
      await eventually('nothing held', () => held().early === 0 && held().waiting === waiting, { seen: held });
    } finally {
      for (const fork of crowd) fork.kill();
      template.close();
      root.close();
    }
    await eventually('the end of both templates', () => !isRunning(template.pid) && !isRunning(root.pid));
  });
});

async function answerOf(fork: ForkedProcess): Promise<number> {
  fork.channel.on('error', () => undefined);
  return (JSON.parse(await wordOf(fork)) as { pid: number }).pid;
}

async function wordOf({ channel }: ForkedProcess): Promise<string> {
  const waiting = channel.read() as Buffer | null;
  if (waiting !== null) return waiting.toString();
  await once(channel, 'readable');
  return String(channel.read());
}
