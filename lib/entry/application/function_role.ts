/**
 * What a function process boots of an application: all but what only a web worker needs, and but the plugins whose clients
 * a sidecar holds. Runs in function processes.
 */
import type { ProxiedClient } from '../../support/host_environment';
import type { ProxiedClients } from '../../runtime/proxied_clients';
import type { EggApplication } from './egg_types';
import { enabledInFunctions } from './plugins';
import type { proxyClients } from './proxied';
import type { Role } from './role';

/** Loaded where an application has some. */
function proxies(): { readonly proxyClients: typeof proxyClients } {
  return require('./proxied') as { proxyClients: typeof proxyClients };
}

export function functionRole(disabled: readonly string[], proxied: readonly ProxiedClient[] = [], clients?: ProxiedClients): Role {
  const swapped = new Set(proxied.filter(({ kind }) => kind !== 'mysql-wire').map(({ plugin }) => plugin));
  return {
    plugins: (all, enabled) => enabledInFunctions(all, enabled, disabled),
    boots: (_unit, plugin) => plugin === undefined || !swapped.has(plugin),
    hook: clients && ((app: EggApplication) => ({ configDidLoad: () => proxies().proxyClients(app, proxied, clients) })),
  };
}
