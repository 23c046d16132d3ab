/**
 * Required by mocha before any test file: starts the upstream stub on a free
 * port and tells the application where it is. It is an ES module because only a
 * module that awaits can finish this before Egg reads its config.
 */

import { createRequire } from 'node:module';

const { startUpstream } = createRequire(import.meta.url)('../upstream/server');
const upstream = await startUpstream();
process.env.BFF_UPSTREAM = upstream.url;

export async function mochaGlobalTeardown() {
  await upstream.close();
}
