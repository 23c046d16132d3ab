/**
 * Which middleware clients leave function processes, and to which sidecar. Pure; the agent decides it once, for function
 * processes and sidecars alike.
 */
import { databaseConnections } from './database_connections';
import type { ClientKind, ClientPlace, ProxiedClient, SidecarConfig } from '../support/host_environment';

/** What is known of an enabled plugin. */
export interface EnabledPlugin {
  /** Undefined where the application names its directory. */
  readonly package?: string;
}

export interface ClientQuestion {
  readonly config: SidecarConfig;
  /** The application's, by name. */
  readonly plugins: Readonly<Record<string, EnabledPlugin>>;
  /** The application's configuration, which has that of each client under its name. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A line of the table that the log shows. */
export interface ClientRow {
  readonly client: string;
  readonly plugin: string;
  /** `sidecar <name>`, or `local`. */
  readonly place: string;
  readonly why: string;
}

export interface ClientPlan {
  readonly proxied: readonly ProxiedClient[];
  readonly rows: readonly ClientRow[];
}

interface Known {
  readonly package: string;
  readonly kind: ClientKind;
  readonly aliases: readonly string[];
}

/** Plugins whose clients are proxied unless the configuration says otherwise, by the names of plugin and client. */
const KNOWN: Readonly<Record<string, Known>> = {
  mysql: { package: 'egg-mysql', kind: 'ali-rds', aliases: ['mysqls'] },
  redis: { package: 'egg-redis', kind: 'ioredis', aliases: [] },
  sequelize: { package: 'egg-sequelize', kind: 'mysql-wire', aliases: [] },
};

const DEFAULT_SIDECAR = 'main';

export function planClients(question: ClientQuestion): ClientPlan {
  const { config, plugins, settings } = question;
  const named = Object.keys(config.clients);
  const found = Object.keys(plugins).filter((name) => !named.includes(name) && (name in KNOWN || hasClients(settings[name])));
  const decided = [...named, ...found].sort().map((client) => decide(client, question));
  return { proxied: decided.flatMap(({ proxied }) => proxied ?? []), rows: decided.map(({ row }) => row) };
}

function decide(client: string, { config, plugins, settings }: ClientQuestion): { row: ClientRow; proxied?: ProxiedClient } {
  const said = config.clients[client];
  const { sidecar = DEFAULT_SIDECAR, plugin = client, kind } = placeOf(said);
  const known = KNOWN[client];
  const local = (why: string): { row: ClientRow } => ({ row: { client, plugin, place: 'local', why } });
  const enabled = plugins[plugin];
  // An ORM may be made by the application's own code from its configuration.
  if (enabled === undefined && kind !== 'mysql-wire') return local(`plugin "${plugin}" is not enabled`);
  if (!config.enable) return local('carton.sidecar.enable is false');
  if (said === 'local') return local(`carton.sidecar.clients.${client}`);
  if ((settings[client] as { app?: unknown } | undefined)?.app === false) return local(`config.${client}.app is false`);
  const isKnown = known !== undefined && (enabled?.package === undefined || enabled.package === known.package);
  if (said === undefined && known === undefined) return local(`no adapter is known; carton.sidecar.clients.${client} can be "proxied"`);
  if (said === undefined && !isKnown) return local(`the plugin is not ${known?.package}; carton.sidecar.clients.${client} can name its kind`);
  const taken = kind ?? (isKnown ? known.kind : 'generic');
  if (taken === 'mysql-wire' && databaseConnections(settings[client]).length === 0) return local(`config.${client} has no connection to MySQL`);
  return {
    row: { client, plugin: enabled === undefined ? '-' : plugin, place: `sidecar ${sidecar}`, why: said === undefined ? `known: ${taken}` : `carton.sidecar.clients.${client}: ${taken}` },
    proxied: { client, plugin, kind: taken, sidecar, aliases: known?.aliases ?? [] },
  };
}

function placeOf(said: ClientPlace | undefined): Exclude<ClientPlace, string> {
  return typeof said === 'object' ? said : {};
}

/** As plugins that use `app.addSingleton` are configured. */
function hasClients(settings: unknown): boolean {
  return typeof settings === 'object' && settings !== null && ('client' in settings || 'clients' in settings);
}

/** The rows as lines of a table, the heading first. */
export function tableOf(rows: readonly ClientRow[]): string[] {
  const all = [{ client: 'client', plugin: 'plugin', place: 'place', why: 'why' }, ...rows];
  const width = (key: keyof ClientRow): number => Math.max(...all.map((row) => row[key].length));
  const widths = { client: width('client'), plugin: width('plugin'), place: width('place') };
  return all.map(({ client, plugin, place, why }) => `${client.padEnd(widths.client)}  ${plugin.padEnd(widths.plugin)}  ${place.padEnd(widths.place)}  ${why}`);
}
