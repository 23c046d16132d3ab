/**
 * A stock Egg application in one process, without egg-cluster: the fastest that such an application can start. Run as a
 * child process; it tells its port.
 *
 * Argument: the application's directory.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { start } from 'egg';

async function main(): Promise<void> {
  const app = await start({ baseDir: process.argv[2] as string, ignoreWarning: true });
  const server = createServer(app.callback());
  server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
}

void main();
process.on('disconnect', () => process.exit());
process.on('SIGTERM', () => process.exit());
