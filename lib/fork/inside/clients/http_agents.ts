/**
 * Idle keep-alive connections of the agents of node:http and node:https, and of those that extend them, as
 * agentkeepalive does. An agent opens another one at its next request. Runs in templates.
 */
import type { Socket } from 'node:net';
import type { Client } from './client';

export const httpAgents: Client = {
  async close(_origins, sockets) {
    for (const { socket } of sockets) if (isOfAgent(socket) && isFree(socket)) socket.destroy();
  },
  describe(_origins, socket) {
    return isOfAgent(socket) ? 'of an HTTP agent, with a request under way' : undefined;
  },
};

/** The event by which a connection is taken out of its agent: only agents listen to it. */
function isOfAgent(socket: Socket): boolean {
  return socket.listenerCount('agentRemove') > 0;
}

function isFree(socket: Socket): boolean {
  return ((socket as { _httpMessage?: object | null })._httpMessage ?? null) === null;
}
