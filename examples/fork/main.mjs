/**
 * Forks servers from one warm template: `node main.mjs`. Prints what the template cost, and what each fork does.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { fileURLToPath, URL } from 'node:url';
import { startTemplate } from 'egg-carton/fork';

const TENANTS = ['ant', 'bee', 'cat', 'dog', 'elk'];

const milliseconds = (since) => `${(performance.now() - since).toFixed(1)} ms`;
/** Of memory that nobody else has, in MB. */
const ownMemory = (pid) => [...readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').matchAll(/Private_\w+:\s+(\d+)/g)]
  .reduce((sum, [, kilobytes]) => sum + Number(kilobytes) / 1024, 0).toFixed(1);

let since = performance.now();
const template = await startTemplate({ program: fileURLToPath(new URL('program.mjs', import.meta.url)), argument: { words: 200_000 } });
console.log(`the template was warm after ${milliseconds(since)}`);
template.collect();

for (const tenant of TENANTS) {
  since = performance.now();
  const { pid, channel, exited } = await template.fork({ tenant });
  const [port] = await once(channel.setEncoding('utf8'), 'data');
  const answer = await (await fetch(`http://127.0.0.1:${port.trim()}/1`)).json();
  console.log(`${tenant}: pid ${pid}, ${answer.found} words found ${milliseconds(since)} after the request to fork, ${ownMemory(pid)} MB of its own`);
  channel.end();
  await exited;
}
template.close();
