/**
 * Which plugins a function process enables: the application's, without those that only a web worker needs. Pure; the
 * loader of the function role calls it once all plugins are known, with their dependencies.
 */
import type { EggPlugins } from './egg_types';

/** All that `names` need to run, themselves included. Optional dependencies do not count. */
function closure(all: EggPlugins, names: readonly string[]): Set<string> {
  const needed = new Set<string>();
  const open = [...names];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (needed.has(name)) continue;
    needed.add(name);
    open.push(...(all[name]?.dependencies ?? []));
  }
  return needed;
}

/**
 * The names of `enabled` that stay enabled, in their order. A plugin of `disabled` stays if one that is not disabled
 * depends on it: leaving it to Egg to enable it again would print a warning at each start.
 */
export function enabledInFunctions(all: EggPlugins, enabled: readonly string[], disabled: readonly string[]): string[] {
  const unwanted = new Set(disabled);
  const needed = closure(all, enabled.filter((name) => !unwanted.has(name)));
  return enabled.filter((name) => needed.has(name));
}
