/**
 * What a function process inherits of the flags with which its agent was started.
 */
import assert from 'node:assert/strict';
import { withoutInspectorFlags } from '../../lib/sandbox/flags';

describe('lib/sandbox/flags', () => {
  it('leaves the inspector to the process that was started with it, and keeps everything else', () => {
    const flags = ['--inspect', '--inspect=9229', '--inspect-brk=127.0.0.1:1', '--inspect-wait', '--inspect-port=2', '--debug-port=3', '--inspect-port', '4', '-r', 'ts-node/register', '--max-old-space-size=64'];
    assert.deepEqual(withoutInspectorFlags(flags), ['-r', 'ts-node/register', '--max-old-space-size=64']);
  });
});
