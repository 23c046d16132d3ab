import assert from 'node:assert/strict';
import type { EggPlugins } from '../../../lib/entry/application/egg_types';
import { enabledInFunctions } from '../../../lib/entry/application/plugins';

function plugins(dependencies: Record<string, string[]>): EggPlugins {
  return Object.fromEntries(Object.entries(dependencies).map(([name, needs]) => [name, { name, enable: true, path: '', dependencies: needs }]));
}

describe('entry/application/plugins', () => {
  const all = plugins({ watcher: [], development: ['watcher'], schedule: [], logrotator: ['schedule'], mysql: [], orders: ['mysql'] });
  const names = Object.keys(all);

  it('leaves out what is disabled, and keeps the order', () => {
    assert.deepEqual(enabledInFunctions(all, names, ['development', 'watcher']), ['schedule', 'logrotator', 'mysql', 'orders']);
  });

  it('keeps a disabled plugin that one that stays depends on', () => {
    assert.deepEqual(enabledInFunctions(all, names, ['schedule', 'mysql']), ['watcher', 'development', 'schedule', 'logrotator', 'mysql', 'orders']);
  });

  it('keeps what is needed through another disabled plugin', () => {
    const chain = plugins({ base: [], middle: ['base'], top: ['middle'] });
    assert.deepEqual(enabledInFunctions(chain, ['base', 'middle', 'top'], ['base', 'middle']), ['base', 'middle', 'top']);
  });

  it('leaves out a plugin that only disabled ones need, and ends on a cycle', () => {
    const cycle = plugins({ one: ['two'], two: ['one'], three: [] });
    assert.deepEqual(enabledInFunctions(cycle, ['one', 'two', 'three'], ['one', 'two']), ['three']);
    assert.deepEqual(enabledInFunctions(cycle, ['one', 'two', 'three'], ['one']), ['one', 'two', 'three']);
  });

  it('does not add a plugin that was not enabled; Egg does that, and says so', () => {
    assert.deepEqual(enabledInFunctions(all, ['orders'], ['watcher']), ['orders']);
  });
});
