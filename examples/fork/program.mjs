/**
 * Program of a template: a search index that takes a while to build. The template builds it once; each fork finds it
 * in memory that all of them share.
 */
import { createServer } from 'node:http';

/** Runs in the template. What it returns is handed to `run`. */
export function warm({ words }) {
  const index = new Map();
  for (let number = 0; number < words; number += 1) {
    const word = number.toString(36);
    for (let end = 1; end <= word.length; end += 1) {
      const prefix = word.slice(0, end);
      if (!index.has(prefix)) index.set(prefix, []);
      index.get(prefix).push(word);
    }
  }
  return index;
}

/** Runs in each fork: an HTTP server on a port of its own, which it tells to whoever asked for the fork. */
export function run({ channel, argument }, index) {
  const server = createServer((request, response) => {
    const prefix = decodeURIComponent(request.url.slice(1));
    response.end(JSON.stringify({ tenant: argument.tenant, pid: process.pid, found: index.get(prefix)?.length ?? 0 }));
  });
  server.listen(0, '127.0.0.1', () => channel.write(`${server.address().port}\n`));
  // Its end is this process's order to leave.
  channel.resume().once('end', () => process.exit());
}
