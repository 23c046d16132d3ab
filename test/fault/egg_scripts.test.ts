/**
 * The way to production: `egg-scripts start --daemon` and `egg-scripts stop` on an application with the plugin. What
 * was started serves, and nothing of it is left after the stop.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { directoryIn, environmentOf, FIXTURES, freePort, left, newHome } from '../support/cluster';
import { eventually } from '../support/eventually';
import { HttpClient } from '../support/http';
import { processesOf } from '../support/processes';

const SCRIPTS = require.resolve('egg-scripts/bin/egg-scripts.js');
const APPLICATION = path.join(FIXTURES, 'fault-app');

function scripts(args: readonly string[], env: NodeJS.ProcessEnv): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [SCRIPTS, ...args], { cwd: APPLICATION, env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr });
    });
  });
}

describe('egg-scripts', () => {
  it('starts a daemon that serves functions, and stops all of it', async () => {
    const home = newHome();
    const mark = randomBytes(8).toString('hex');
    const title = `carton-test-${mark}`;
    const env = environmentOf({}, home, mark);
    const port = await freePort();
    const client = new HttpClient(port);
    try {
      const logs = [`--stdout=${home}/stdout.log`, `--stderr=${home}/stderr.log`];
      const started = await scripts(['start', '--daemon', `--title=${title}`, `--port=${port}`, '--workers=2', ...logs, APPLICATION], env);
      // It takes any output on stderr while starting for a failure.
      assert.equal(started.code, 0, started.output);
      assert.equal((await client.invoke('cold')).status, 200);
      // A fork of a template that tests itself is not the function's.
      assert.equal(processesOf(mark).filter(({ kind, group }) => kind === 'instance' && group === 'cold').length, 1);
      client.close();
      const stopped = await scripts(['stop', `--title=${title}`], env);
      assert.equal(stopped.code, 0, stopped.output);
      assert.doesNotMatch(stopped.output, /not killed by master/);
      await eventually('the end of all', () => processesOf(mark).length === 0, { seen: () => processesOf(mark) });
      assert.deepEqual(left(directoryIn(home)), []);
    } finally {
      client.close();
      for (const { pid } of processesOf(mark)) process.kill(pid, 'SIGKILL');
      await eventually('the end of all', () => processesOf(mark).length === 0);
      rmSync(home, { recursive: true, force: true });
    }
  });
});
