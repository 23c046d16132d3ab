/**
 * What a function process inherits of the flags with which its agent was started.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inheritedFlags, withoutInspectorFlags } from '../../lib/sandbox/flags';
import { ROOT } from '../support/cluster';

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
