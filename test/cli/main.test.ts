/**
 * The command line as a process: help, version, exit codes, and what it says to wrong calls.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';

const BIN = path.join(__dirname, '../../bin/egg-carton.js');

function run(...args: string[]): { code: number | null; out: string; error: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8' });
  return { code: status, out: stdout, error: stderr };
}

describe('npx egg-carton', () => {
  it('lists commands and options with --help', () => {
    const { code, out } = run('--help');
    assert.equal(code, 0);
    assert.match(out, /init \[directory\]/);
    assert.match(out, /snapshot \[directory\]/);
    assert.match(run('init', '--help').out, /-y, --yes/);
    assert.match(run('snapshot', '--help').out, /--verify/);
  });

  it('tells its version', () => {
    const { code, out } = run('--version');
    assert.equal(code, 0);
    assert.match(out, /^egg-carton\/\d+\.\d+\.\d+/);
  });

  for (const [args, message] of [
    [['innit'], /expected a command: init, snapshot, got "innit"\. Did you mean "init"\?/],
    [['init', '--yess'], /got --yess\. Did you mean "--yes"\?/],
    [['snapshot', '--verfy'], /got --verfy\. Did you mean "--verify"\?/],
    [['snapshot', '--yes'], /expected a known option, got --yes/],
    [['snapshto'], /got "snapshto"\. Did you mean "snapshot"\?/],
    [['init', 'a', 'b'], /expected at most one directory, got "b"/],
    [[], /expected a command: init, snapshot, got none/],
  ] as const) {
    it(`refuses "${args.join(' ')}" with CARTON_CLI_BAD_USAGE and exit code 2`, () => {
      const { code, out, error } = run(...args);
      assert.equal(code, 2);
      assert.equal(out, '');
      assert.match(error, /^CARTON_CLI_BAD_USAGE: /);
      assert.match(error, message);
    });
  }

  it('ends with 1 and the code of what went wrong', () => {
    const { code, error } = run('init', path.join(__dirname, 'no-such-directory'), '--yes');
    assert.equal(code, 1);
    assert.match(error, /^CARTON_CLI_NOT_AN_APPLICATION: /);
  });
});
