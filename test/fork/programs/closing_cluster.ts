/**
 * A template with a client of a Redis cluster that also subscribes, and forks that use it at once. Runs in templates
 * and their forks.
 */
import { Cluster } from 'ioredis';
import type { Fork } from '../../../lib/fork/program';

interface State {
  readonly cluster: Cluster;
  readonly heard: Promise<string>;
}

export async function warm({ port }: { port: number }): Promise<State> {
  const cluster = new Cluster([{ host: '127.0.0.1', port }]);
  await cluster.set('kept', 'by the template');
  await cluster.subscribe('news');
  const heard = new Promise<string>((resolve) => cluster.once('message', (_channel, message: string) => resolve(message)));
  return { cluster, heard };
}

export function run({ channel, argument }: Fork, { cluster, heard }: State): void {
  const use = async (): Promise<unknown> => {
    const answers = await Promise.all([cluster.get('kept'), cluster.incr('count'), cluster.set(`own ${String(argument)}`, 1)]);
    const id = await cluster.nodes('master')[0]?.call('CLIENT', 'ID');
    await cluster.subscribe('afterwards');
    await cluster.publish('news', String(argument));
    return { kept: answers[0], count: answers[1], id, heard: await heard };
  };
  use().then((told) => channel.end(JSON.stringify(told)), (error: Error) => channel.end(JSON.stringify(error.stack)));
  channel.on('close', () => process.exit(0));
  channel.resume();
}
