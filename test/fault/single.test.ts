/**
 * Egg's single mode in production: agent and application in one process, functions in processes of their own. Each
 * case runs in a child, because Egg leaves listeners behind.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { directoryIn, environmentOf, FIXTURES, left, newHome, ROOT } from '../support/cluster';
import { eventually } from '../support/eventually';
import { processesOf } from '../support/processes';
import { rmSync } from 'node:fs';

/** Prints one line of JSON; ends by itself once nothing is left to do, or says what keeps it. */
const PROGRAM = `
  (async () => {
    const egg = require('egg');
    const app = await egg.start({ baseDir: process.argv[1], env: 'prod', mode: 'single' });
    const first = await app.carton.invoke('cold', ['x']);
    const again = await app.carton.invoke('cold', ['y']);
    const host = process.pid;
    await app.agent.close();
    await app.close();
    process.stdout.write(JSON.stringify({ host, first, again }) + '\\n');
    // Egg's own timers may outlive its close; ours must not, which the test sees by what is left.
    process.exit(0);
  })().catch((error) => { console.error(error); process.exit(1); });
`;

describe('single mode', () => {
  it('runs functions in processes of their own and closes cleanly', async () => {
    const home = newHome();
    const mark = randomBytes(8).toString('hex');
    try {
      const { stdout, code } = await run(environmentOf({}, home, mark));
      assert.equal(code, 0, stdout);
      const line = stdout.split('\n').find((text) => text.startsWith('{"host"')) as string;
      const { host, first, again } = JSON.parse(line) as { host: number; first: { pid: number }; again: { pid: number } };
      assert.notEqual(first.pid, host);
      assert.equal(first.pid, again.pid);
      await eventually('the end of its instances', () => processesOf(mark).length === 0);
      assert.deepEqual(left(directoryIn(home)), []);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
});

function run(env: NodeJS.ProcessEnv): Promise<{ stdout: string; code: number }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['-e', PROGRAM, '--', path.join(FIXTURES, 'fault-app')], { cwd: ROOT, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ stdout: stdout + stderr, code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1 });
    });
  });
}
