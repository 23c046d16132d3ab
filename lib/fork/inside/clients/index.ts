/**
 * All adapters for client libraries. Runs in templates.
 */
import { openSockets } from '../inspection/handles';
import type { Origins } from '../origins';
import type { Client } from './client';
import { httpAgents } from './http_agents';
import { ioredis } from './ioredis';
import { mysql } from './mysql';
import { undici } from './undici';

export const CLIENTS: readonly Client[] = [httpAgents, undici, mysql, ioredis];

/** Whose a connection is, in brackets, behind a space; empty if no adapter knows it. */
export function describeClient(origins: Origins, handle: object): string {
  const open = openSockets(origins).find(({ origin }) => origin.resource === handle);
  if (open === undefined) return '';
  for (const client of CLIENTS) {
    const whose = client.describe?.(origins, open.socket);
    if (whose !== undefined) return ` (${whose})`;
  }
  return '';
}
