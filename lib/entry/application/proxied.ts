/**
 * Puts stand-ins on an application in the place of clients that a sidecar holds, by Egg's own way for clients, so that
 * `app.mysql`, `app.mysql.get('db1')`, `clients`, `getSingletonInstance` and `createInstance` are what they always were.
 * Runs in function processes.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { ProxiedClient } from '../../support/host_environment';
import { databaseConnections, leadTo } from '../../spec/database_connections';
import type { ProxiedClients } from '../../runtime/proxied_clients';
import type { EggApplication } from './egg_types';

export function proxyClients(app: EggApplication, proxied: readonly ProxiedClient[], clients: ProxiedClients): void {
  for (const each of proxied) {
    if (each.kind === 'mysql-wire') leadConnections(app, each, clients);
    else proxyClient(app, each, clients);
  }
}

/** Before its plugin boots, which makes of its settings what it always makes. */
function leadConnections(app: EggApplication, proxied: ProxiedClient, clients: ProxiedClients): void {
  for (const { id, settings } of databaseConnections(app.config[proxied.client])) leadTo(settings, clients.wire(proxied, id));
}

function proxyClient(app: EggApplication, proxied: ProxiedClient, clients: ProxiedClients): void {
  const { client, plugin, aliases } = proxied;
  const require = createRequire(join(app.plugins[plugin]?.path ?? app.baseDir, 'package.json'));
  const isSingle = (app.config[client] as { client?: unknown } | undefined)?.client !== undefined;
  let isConfigured = true;
  app.addSingleton(client, (config, _app, name) => clients.standIn(proxied, { config, require, name: isConfigured ? (isSingle ? client : `${client}/${name}`) : undefined }));
  // From now on, whoever asks for another one has a configuration of its own for it.
  isConfigured = false;
  const members = app as unknown as Record<string, unknown>;
  for (const alias of aliases) members[alias] = members[client];
}
