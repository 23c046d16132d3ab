/**
 * The example application's own tests, in processes of their own, without the plugin and with it: enabling the plugin
 * changes nothing for an application.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';

const directory = path.join(__dirname, '../../examples/bff');

/** Runs the example's own test command and returns its exit code and output. */
async function runTests(scope: string): Promise<{ code: number | null; output: string }> {
  const env = { ...process.env, EGG_SERVER_SCOPE: scope, NODE_ENV: 'test' };
  const child = spawn('npm', ['test'], { cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, output };
}

describe('examples/bff', () => {
  for (const [title, scope] of [['without the plugin', ''], ['with the plugin', 'carton']] as const) {
    it(`passes its own tests ${title}`, async function () {
      this.timeout(180_000);
      const { code, output } = await runTests(scope);
      assert.equal(code, 0, output);
      assert.match(output, /\d+ passing/);
    });
  }
});
