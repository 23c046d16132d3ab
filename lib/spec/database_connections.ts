/**
 * Finds the connections to MySQL in the settings of an ORM, and rewrites them to lead to a sidecar. Pure; runs in the
 * agent, in function processes and in sidecars.
 *
 * ORMs differ in where these stand (egg-sequelize: at the top or in `datasources`; knex: in `client.connection`; typeorm
 * and leoric: in `client`, `clients` or at the top) and in what they call the user, and agree in the rest.
 */

/** As they stand in the settings. */
export type ConnectionSettings = Record<string, unknown>;

export interface DatabaseConnection {
  /** Where it stands: '' for the settings themselves, else keys joined by dots. */
  readonly id: string;
  readonly settings: ConnectionSettings;
}

/** Levels below the settings; what is deeper is not a connection of an ORM that we know. */
const DEPTH = 4;

export function databaseConnections(settings: unknown): DatabaseConnection[] {
  const found: DatabaseConnection[] = [];
  const look = (value: unknown, keys: readonly string[]): void => {
    if (typeof value !== 'object' || value === null || keys.length > DEPTH) return;
    const record = value as ConnectionSettings;
    if (isConnection(record)) return void found.push({ id: keys.join('.'), settings: record });
    for (const [key, item] of Object.entries(record)) look(item, [...keys, key]);
  };
  look(settings, []);
  return found;
}

const OTHER_DIALECTS = new Set(['postgres', 'postgresql', 'pg', 'sqlite', 'sqlite3', 'better-sqlite3', 'mssql', 'oracle', 'oracledb', 'mongodb', 'mariadb', 'snowflake', 'db2']);

/** With several datasources, what stands beside them are the defaults of each, and no connection. */
function isConnection(record: ConnectionSettings): boolean {
  const { database, dialect, type } = record;
  if (typeof database !== 'string' || database === '' || Array.isArray(record['datasources'])) return false;
  if (!['host', 'port', 'socketPath', 'user', 'username', 'dialect'].some((key) => key in record)) return false;
  return ![dialect, type].some((name) => typeof name === 'string' && OTHER_DIALECTS.has(name));
}

export interface WireAddress {
  readonly socketPath: string;
  readonly user: string;
  readonly password: string;
}

/** Has a connection lead to a sidecar. Writes into the settings, which an ORM reads when it boots. */
export function leadTo(settings: ConnectionSettings, { socketPath, user, password }: WireAddress): void {
  // A sidecar is as near as this process: what secured the way to the database secures the sidecar's.
  for (const key of ['host', 'port', 'ssl', 'connectionUri', 'replication', 'url']) delete settings[key];
  if ('dialect' in settings) settings['dialectOptions'] = { ...(settings['dialectOptions'] as object | undefined), socketPath, ssl: undefined };
  else settings['socketPath'] = socketPath;
  settings['host'] = 'localhost';
  settings['user' in settings || !('username' in settings) ? 'user' : 'username'] = user;
  settings['password'] = password;
}

/** The same connection, as mysql2 makes it. */
export function backendOf(settings: ConnectionSettings): ConnectionSettings {
  const all = { ...settings, ...(settings['dialectOptions'] as object | undefined) };
  const backend: ConnectionSettings = { user: all['user'] ?? all['username'], password: all['password'] ?? '', database: all['database'] };
  for (const key of ['host', 'port', 'socketPath', 'ssl', 'charset', 'connectTimeout', 'authPlugins']) if (all[key] !== undefined && all[key] !== null) backend[key] = all[key];
  return backend;
}

const DEFAULT_CONNECTIONS = 5;

/** Connections to the database that the pool of an ORM may have. */
export function connectionLimitOf(settings: ConnectionSettings): number {
  const { pool, connectionLimit } = settings as { pool?: { max?: unknown }; connectionLimit?: unknown };
  const said = [connectionLimit, pool?.max].find((value) => Number.isInteger(value) && (value as number) > 0);
  return (said as number | undefined) ?? DEFAULT_CONNECTIONS;
}
