/**
 * Runs the upstream stub as a program: `npm run upstream`. It listens on
 * BFF_UPSTREAM_PORT (7400 unless told; 0 takes a free port), prints its URL on
 * the first line, and ends on SIGINT or SIGTERM.
 */

import { startUpstream } from './server';

const DEFAULT_PORT = 7400;

async function main(): Promise<void> {
  const upstream = await startUpstream({ port: Number(process.env.BFF_UPSTREAM_PORT ?? DEFAULT_PORT) });
  process.stdout.write(`${upstream.url}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void upstream.close());
  }
}

main().catch((err: unknown) => {
  process.stderr.write(`The upstream stub did not start: ${String(err)}\n`);
  process.exitCode = 1;
});
