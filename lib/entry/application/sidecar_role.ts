/**
 * What a sidecar boots of an application: the plugins of the clients that it holds, all that these need, and the plugin
 * that serves them; of the application itself its configuration, and a boot class `sidecar` beside `app` and `agent`, if
 * there is one. Runs in sidecars.
 */
import { join } from 'node:path';
import type { ProxiedClient } from '../../support/host_environment';
import { enabledInFunctions } from './plugins';
import type { Role } from './role';

/** Enabled in sidecars alone. */
export const SIDECAR_PLUGIN = 'cartonSidecar';
export const SIDECAR_PLUGIN_PATH = join(__dirname, '../../../plugin-sidecar');

export function sidecarRole(held: readonly ProxiedClient[]): Role {
  const wanted = new Set([SIDECAR_PLUGIN, ...held.filter(({ kind }) => kind !== 'mysql-wire').map(({ plugin }) => plugin)]);
  return {
    plugins: (all, enabled) => enabledInFunctions(all, enabled, enabled.filter((name) => !wanted.has(name))),
    boots: (unit) => unit.type !== 'app',
    bootFile: 'sidecar',
  };
}
