/**
 * Idle connections of undici: of Node's own `fetch`, of npm's undici in any copy, and of what is built on it, as urllib
 * from version 3 on. Its client opens another one at its next request. Runs in templates.
 */
import type { Socket } from 'node:net';
import { underSymbol, type Client } from './client';

export const undici: Client = {
  async close(_origins, sockets) {
    for (const { socket } of sockets) if (requestsOn(socket) === 0) socket.destroy();
  },
  describe(_origins, socket) {
    return requestsOn(socket) === undefined ? undefined : 'of fetch or undici, with a request under way';
  },
};

/** Requests that its client sends or waits for; undefined if it is none of undici's. Connections of HTTP/2 are none here. */
function requestsOn(socket: Socket): number | undefined {
  const client = (underSymbol(socket, 'parser') as { client?: object } | null | undefined)?.client;
  if (typeof client !== 'object' || client === null) return undefined;
  const size = underSymbol(client, 'size');
  return typeof size === 'number' ? size : undefined;
}
