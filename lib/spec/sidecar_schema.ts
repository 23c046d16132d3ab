/**
 * The part of the configuration's schema that is about sidecars: `carton.sidecar`. Runs at boot.
 */
import * as v from 'valibot';
import type { ClientPlace } from '../support/host_environment';
import { boolean, documented, either, exactObject, integer, oneOf, text } from './checks';

const MAX_CLIENTS = 256;
const NAME = 'a name of letters, digits, "-" and "_"';
const name = text((value) => /^[\w-]{1,64}$/.test(value), NAME);
const PLACE = '"local", "proxied" or an object { sidecar, plugin, kind }';

export const CLIENT_KEYS = {
  sidecar: documented(v.optional(name), {
    description: 'The sidecar that holds the client. Each name that is used is a process of its own.',
    unit: '',
    default: 'main',
    effect: 'One that cannot boot answers for its own clients only.',
  }),
  plugin: documented(v.optional(name), {
    description: 'The plugin that makes the client, where it is not called as the client is.',
    unit: '',
    default: 'the client\'s name',
    effect: 'Where it is not enabled, there is no client, and the table in the log says so.',
  }),
  kind: documented(v.optional(oneOf(['ali-rds', 'ioredis', 'mysql-wire', 'generic'] as const)), {
    description: 'How the client is used from another process: as ali-rds, as ioredis, as an ORM on a driver of MySQL, which stays in function processes and whose connections lead to the sidecar (`mysql-wire`), or, for any other client, method by method, where each method answers with a promise.',
    unit: '',
    default: 'by the plugin\'s package, else `generic`',
    effect: 'A kind that does not fit fails where the client is used.',
  }),
};

const place = either<ClientPlace>(() => exactObject(CLIENT_KEYS, PLACE), PLACE);
const placeOrWord = Object.assign(v.union([oneOf(['local', 'proxied'] as const), place], PLACE), { message: PLACE });
const CLIENTS = `an object of at most ${MAX_CLIENTS} clients by their names on app`;

/** An array would pass for a record without keys. */
function isSmallRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length <= MAX_CLIENTS;
}

export const SIDECAR_KEYS = {
  enable: documented(boolean(), {
    description: 'Whether middleware clients leave function processes for a sidecar. Where functions run in the calling process (`inline`), they never do.',
    unit: '',
    default: true,
    effect: 'When false, each function process boots all plugins and has connections of its own.',
  }),
  clients: documented(v.pipe(v.custom<Record<string, unknown>>(isSmallRecord, CLIENTS), v.record(name, placeOrWord, CLIENTS)), {
    description: 'Where clients are, by their names on `app`. `proxied`: in the sidecar `main`; `local`: in each function process. Clients that are not named here are proxied if their plugin is known (egg-mysql, egg-redis), else local.',
    unit: '',
    default: {},
    effect: 'The log shows a table of all clients when the host starts.',
  }),
  callTimeoutMs: documented(integer(1, 3_600_000), {
    description: 'Time for a call to a sidecar, waiting for a sidecar that is not up included.',
    unit: 'milliseconds',
    default: 60_000,
    effect: 'At it the call fails with CARTON_RPC_DEADLINE, or with CARTON_SIDECAR_UNAVAILABLE if it was not sent.',
  }),
};
