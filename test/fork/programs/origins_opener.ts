/**
 * Opens one thing that a test looks for; a file of its own, so that its name tells who it was. Runs in the mocha process.
 */
import { createServer, type Server } from 'node:net';

export function listenLater(): Promise<Server> {
  return new Promise((resolve) => {
    setImmediate(() => process.nextTick(() => {
      const server = createServer().listen(0, '127.0.0.1', () => resolve(server));
    }));
  });
}
