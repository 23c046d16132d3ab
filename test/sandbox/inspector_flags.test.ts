/**
 * What a function process inherits of the flags with which its agent was started, and which of them rule out forks.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inheritedFlags, withoutInspectorFlags } from '../../lib/sandbox/flags';
import { forkObstacle } from '../../lib/sandbox/fork_obstacle';
import { ROOT } from '../support/cluster';

describe('lib/sandbox/fork_obstacle', () => {
  const obstacle = (execArgv: string[], given: string[] = []): string | undefined => forkObstacle({ launcher: 'auto', execArgv }, given);

  it('finds nothing in the way where nothing is asked for', () => {
    assert.equal(obstacle(['--max-old-space-size=64', '--no-warnings', '--profiles-not-meant=1'], ['-r', 'ts-node/register']), undefined);
  });

  for (const flag of ['--cpu-prof', '--cpu-prof-dir=/x', '--heap-prof', '--heap-prof-interval=4', '--prof', '--perf-basic-prof', '--perf_prof', '--trace-event-categories=node']) {
    it(`names a profiler's flag (${flag}), wherever it comes from`, () => {
      for (const found of [obstacle([flag]), obstacle([], [flag])]) assert.match(found ?? '', new RegExp(`^the flag ${flag}, `));
    });
  }

  it('finds it in NODE_OPTIONS', () => {
    const before = process.env['NODE_OPTIONS'];
    process.env['NODE_OPTIONS'] = '--no-warnings "--cpu-prof"';
    try {
      assert.match(forkObstacle({ launcher: 'fork', execArgv: [] }) ?? '', /--cpu-prof/);
    } finally {
      if (before === undefined) delete process.env['NODE_OPTIONS'];
      else process.env['NODE_OPTIONS'] = before;
    }
  });

  it('leaves the inspector of this process to it, and not that of carton.execArgv', () => {
    assert.equal(obstacle([], ['--inspect']), undefined);
    assert.match(obstacle(['--inspect']) ?? '', /inspector/);
  });
});

describe('lib/sandbox/flags', () => {
  it('leaves the inspector to the process that was started with it, and keeps everything else', () => {
    const flags = ['--inspect', '--inspect=9229', '--inspect-brk=127.0.0.1:1', '--inspect-wait', '--inspect-port=2', '--debug-port=3', '--inspect-port', '4', '-r', 'ts-node/register', '--max-old-space-size=64'];
    assert.deepEqual(withoutInspectorFlags(flags), ['-r', 'ts-node/register', '--max-old-space-size=64']);
  });

  it('leaves egg-carton/register to Egg\'s own workers, in whatever form it is named, and keeps every other preload', () => {
    const directory = realpathSync(mkdtempSync(path.join(tmpdir(), 'ec-')));
    const link = path.join(directory, 'linked');
    symlinkSync(ROOT, link);
    try {
      const forms = ['egg-carton/register', 'egg-carton/register.js', './node_modules/egg-carton/register.js', '/app/node_modules/egg-carton/register', path.join(ROOT, 'register.js'), path.join(ROOT, 'register'), path.join(link, 'register.js')];
      for (const form of forms) {
        for (const flags of [['--require', form], ['-r', form], [`--require=${form}`]]) {
          assert.deepEqual(inheritedFlags(['-r', 'first', ...flags, '--require', 'last', '--require=x', '--no-warnings']), ['-r', 'first', '--require', 'last', '--require=x', '--no-warnings'], flags.join(' '));
        }
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('keeps preloads whose names are like it', () => {
    const flags = ['-r', 'ts-node/register', '--require', 'not-egg-carton/register', '--require=egg-carton/register/other', '-r', 'egg-carton', '--require=/x/register.js', '--require'];
    assert.deepEqual(inheritedFlags(flags), flags);
  });
});
